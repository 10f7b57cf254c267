//! Imports of users, keys and usage from other programs. Not an operation that a server runs: the
//! file lies where the command runs.

mod file;
mod summary;

use std::{collections::BTreeSet, path::PathBuf};

use crate::store::sql::Connection;

pub use summary::{ImportSummary, ImportedUser};

use super::{AdminContext, AdminError};
use crate::{
    import::{Format, Import, Notes},
    model::{BudgetUnit, BudgetWindow, Calendar, Limit, LimitKind, LimitValue, UserName, now_ms},
    store::{
        StoreError, groups,
        imports::{self, Estimator, Examined, Fate},
    },
};

use file::SourceFile;
use summary::Tally;

/// The most mistakes that are listed.
const MAX_MISTAKES: usize = 20;

/// A file of another program that is to be imported.
#[derive(Debug)]
pub struct ImportFile {
    pub path: PathBuf,
    /// `None`: it is found from the content.
    pub format: Option<Format>,
    /// The group of all users, instead of those of the file.
    pub group: Option<String>,
}

/// A file whose users were read, before the database is opened that they go into.
pub struct PreparedImport {
    source: SourceFile,
    import: Import,
}

impl ImportFile {
    /// Opens the file and reads its users and keys.
    ///
    /// # Errors
    /// [`AdminError::Import`] if the file cannot be imported, [`AdminError::Entries`] with a line for
    /// each entry that cannot be.
    pub fn read(self, calendar: &Calendar) -> Result<PreparedImport, AdminError> {
        let opened = SourceFile::open(&self.path, self.format, calendar, now_ms());
        let (source, mut import) = opened?;
        if let Some(group) = &self.group {
            put_into_group(&mut import, group)?;
        }
        import.check();
        refuse_mistakes(&import.mistakes)?;
        Ok(PreparedImport { source, import })
    }
}

impl PreparedImport {
    /// Writes what is not here yet. `progress` is called for each row with the number of rows so far.
    ///
    /// # Errors
    /// [`AdminError::Entries`] with a line for each entry that cannot be imported: nothing was written
    /// then. Or an error of the database or the file.
    pub fn bring(
        self,
        context: &AdminContext,
        progress: &mut dyn FnMut(u64),
    ) -> Result<ImportSummary, AdminError> {
        self.run(context, false, progress)
    }

    /// Returns what [`PreparedImport::bring`] would do, and writes nothing.
    ///
    /// # Errors
    /// Those of [`PreparedImport::bring`].
    pub fn look(
        self,
        context: &AdminContext,
        progress: &mut dyn FnMut(u64),
    ) -> Result<ImportSummary, AdminError> {
        self.run(context, true, progress)
    }

    fn run(
        self,
        context: &AdminContext,
        is_dry_run: bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<ImportSummary, AdminError> {
        let answer = self.try_run(context, is_dry_run, progress);
        answer.map_err(|error| match error {
            AdminError::Store(error) => AdminError::Store(context.store.explain(error)),
            other => other,
        })
    }

    fn try_run(
        self,
        context: &AdminContext,
        is_dry_run: bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<ImportSummary, AdminError> {
        let Self { source, mut import } = self;
        let prices = context.price_file()?;
        let mut connection = context.connection()?;
        let format = source.format();
        let mut examined = imports::examine(&connection, format, &import.users)?;
        refuse_mistakes(&examined.mistakes)?;
        let mut notes = std::mem::take(&mut import.notes);
        let mut tally = Tally::new(&import, &examined);
        let mut estimator = Estimator::new(prices.clone());
        source.each_row(i64::MIN, &mut notes, |row| {
            let cost = estimator.cost(&connection, &row)?;
            tally.add(&row, cost);
            progress(tally.seen());
            Ok(())
        })?;
        leave_out_unused(&mut import, &tally, &mut examined, &mut notes);
        set_budgets(&mut import, &tally, &examined, &mut notes);
        let groups = new_groups(&connection, &import, &examined)?;
        if !is_dry_run {
            let users = (format, import.users.as_slice());
            let first = tally.first_new_row();
            let storage = context.key_storage;
            imports::write(
                &mut connection,
                users,
                &examined,
                storage,
                prices,
                |writer| {
                    let mut written = 0;
                    // Everything was noted by the first look.
                    source.each_row(first, &mut Notes::default(), |row| {
                        written += 1;
                        progress(written);
                        writer.insert(&row)
                    })
                },
            )?;
            context.today.forget();
        }
        let summary = tally.into_summary(format, &import, &examined);
        Ok(ImportSummary {
            is_dry_run,
            new_groups: groups,
            notes: notes.into_vec(),
            ..summary
        })
    }
}

/// Puts all users into one group.
fn put_into_group(import: &mut Import, group: &str) -> Result<(), AdminError> {
    let name = UserName::parse(group)
        .map_err(|error| AdminError::field("group", format!("group {error}")))?;
    for user in &mut import.users {
        user.group = Some(name.clone());
    }
    Ok(())
}

/// Refuses the import with the mistakes, if there are any.
fn refuse_mistakes(mistakes: &[String]) -> Result<(), AdminError> {
    if mistakes.is_empty() {
        return Ok(());
    }
    let mut lines: Vec<String> = mistakes.iter().take(MAX_MISTAKES).cloned().collect();
    if mistakes.len() > MAX_MISTAKES {
        lines.push(format!("and {} more", mistakes.len() - MAX_MISTAKES));
    }
    Err(AdminError::Entries(lines))
}

/// Leaves out the users whom the other program has deleted and of whom there is no usage.
fn leave_out_unused(
    import: &mut Import,
    tally: &Tally,
    examined: &mut Examined,
    notes: &mut Notes,
) {
    for (place, user) in import.users.iter_mut().enumerate() {
        let fate = &mut examined.users[place].fate;
        if user.is_deleted && tally.rows_of(place) == 0 && *fate == Fate::New {
            notes.add("deleted users without usage left out", || {
                user.place.clone()
            });
            user.is_left_out = true;
            *fate = Fate::Left;
        }
    }
}

/// Gives each new user of whom it is known what may still be used a budget without an end: what was
/// used and what is left.
fn set_budgets(import: &mut Import, tally: &Tally, examined: &Examined, notes: &mut Notes) {
    for (place, user) in import.users.iter_mut().enumerate() {
        let is_new = examined.users[place].fate == Fate::New;
        let Some(left) = user.left.filter(|_| is_new && !user.is_deleted) else {
            continue;
        };
        if left.0 <= 0 && user.is_active {
            notes.add(
                "users who have no quota left, so that they are refused: raise it with `user set NAME --budget`",
                || format!("{}: {:?}", user.place, user.name.as_str()),
            );
        }
        let used = tally.cost_of(place).0.max(0);
        let amount = used.saturating_add(left.0.max(0)).min(Limit::MAX_BUDGET);
        let budget = LimitKind::Budget(BudgetUnit::Usd, BudgetWindow::Total);
        for (kind, amount) in [(budget, amount), (LimitKind::AllowUnpriced, 1)] {
            user.limits.push(Limit {
                kind,
                value: LimitValue::Amount(amount),
                is_watched: false,
            });
        }
    }
}

/// Returns the number of groups that are not here yet.
fn new_groups(
    connection: &Connection,
    import: &Import,
    examined: &Examined,
) -> Result<i64, StoreError> {
    let users = import.users.iter().zip(&examined.users);
    let new = users.filter(|(_, examined)| examined.fate == Fate::New);
    let names: BTreeSet<&str> = new
        .filter_map(|(user, _)| Some(user.group.as_ref()?.as_str()))
        .collect();
    let mut count = 0;
    for name in names {
        match groups::find(connection, name) {
            Ok(_) => {}
            Err(StoreError::UnknownGroup { .. }) => count += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
