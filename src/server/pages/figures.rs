//! The figures of the page. All of them are answers of operations that the admin API has too. Sums
//! over all users are kept for a moment: reading them may take a second in a large database, and a
//! page should not.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    admin::{AdminContext, AdminError, ListCosts, Window},
    model::{Calendar, Dimension, NanoUsd, Period, now_ms},
    store::reports::{NO_GROUP, SplitCosts, SplitReport, Totals},
};

/// Days of a chart.
pub(super) const CHART_DAYS: usize = 30;
/// Days that are read: the longest month is among them.
const DAYS_BEFORE_TODAY: i64 = 30;
/// Full days whose mean is the pace of a forecast.
const PACE_DAYS: usize = 7;
/// Sums that are younger are shown as they are.
const MIN_FRESH: Duration = Duration::from_secs(1);
/// Sums are fresh for this many times as long as reading them takes, so that no number of viewers
/// keeps the database busy for more than a tenth of the time.
const FRESH_FACTOR: u32 = 10;
/// Sums that are read in less time are always read anew when they are not fresh.
const QUICK: Duration = Duration::from_millis(50);
/// Other sums are shown until they are this old, while they are read anew behind the page.
const MAX_SHOWN: Duration = Duration::from_secs(120);

/// A day of the calendar.
#[derive(Debug, Clone, Default)]
pub(super) struct Day {
    /// Such as `2026-11-29`.
    pub(super) date: String,
    pub(super) start_ms: i64,
    pub(super) totals: Totals,
}

/// Sums under a name, such as those of a model.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) totals: Totals,
}

/// What was used on each of the last days, and what follows from it.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) at_ms: i64,
    /// The last [`CHART_DAYS`] days, today at the end.
    pub(super) days: Vec<Day>,
    pub(super) today: Totals,
    pub(super) month: Totals,
    /// What today and this month will cost at the pace of the last days. `None` before there was a
    /// full day.
    pub(super) today_forecast: Option<NanoUsd>,
    pub(super) month_forecast: Option<NanoUsd>,
    /// Models of the last [`CHART_DAYS`] days, the most costly first.
    pub(super) models: Vec<Named>,
}

/// The window that a history needs.
pub(super) struct HistoryWindow {
    now_ms: i64,
    days: Vec<Day>,
}

impl HistoryWindow {
    pub(super) fn new(calendar: &Calendar) -> Self {
        let now_ms = now_ms();
        let first = calendar.range(Period::Day, now_ms, DAYS_BEFORE_TODAY);
        let first_ms = first.start_ms().unwrap_or(now_ms);
        let periods = calendar.periods(Period::Day, first_ms, now_ms);
        let starts = periods.starts_ms().iter().enumerate();
        let days = starts.map(|(index, start_ms)| Day {
            date: periods.label(index),
            start_ms: *start_ms,
            totals: Totals::default(),
        });
        Self {
            now_ms,
            days: days.collect(),
        }
    }

    /// Returns the date of the first day that is read.
    pub(super) fn since(&self) -> String {
        self.days
            .first()
            .map(|day| day.date.clone())
            .unwrap_or_default()
    }

    /// Returns the date of the first day of a chart.
    pub(super) fn chart_since(&self) -> String {
        let place = self.days.len().saturating_sub(CHART_DAYS);
        self.days
            .get(place)
            .map(|day| day.date.clone())
            .unwrap_or_default()
    }

    /// Makes the history of lines by day and model.
    pub(super) fn history(self, calendar: &Calendar, lines: &[SplitCosts]) -> History {
        let Self { now_ms, mut days } = self;
        let places: HashMap<String, usize> = days
            .iter()
            .enumerate()
            .map(|(place, day)| (day.date.clone(), place))
            .collect();
        let first_of_chart = days.len().saturating_sub(CHART_DAYS);
        let mut models: HashMap<&str, Totals> = HashMap::new();
        for line in lines {
            let date = value_of(line, Dimension::Period(Period::Day));
            let Some(place) = places.get(date) else {
                continue;
            };
            days[*place].totals.add(&line.totals);
            if *place >= first_of_chart {
                let model = value_of(line, Dimension::Model);
                models.entry(model).or_default().add(&line.totals);
            }
        }
        let month = calendar.range(Period::Month, now_ms, 0);
        let month_start_ms = month.start_ms().unwrap_or(i64::MAX);
        let of_month = days.iter().filter(|day| day.start_ms >= month_start_ms);
        let month_totals = sum(of_month.map(|day| &day.totals));
        let today = days.last().map(|day| day.totals).unwrap_or_default();
        let pace = Pace::of(&days);
        let day_end_ms = calendar.range(Period::Day, now_ms, 0).end_ms();
        let forecast = |spent: NanoUsd, end_ms: Option<i64>| {
            let left_ms = end_ms?.saturating_sub(now_ms);
            Some(spent.saturating_add(pace.as_ref()?.of_span(left_ms)))
        };
        History {
            at_ms: now_ms,
            today_forecast: forecast(today.cost, day_end_ms),
            month_forecast: forecast(month_totals.cost, month.end_ms()),
            today,
            month: month_totals,
            days: days.split_off(first_of_chart),
            models: ranked(models),
        }
    }
}

impl History {
    /// Returns the sums of all days of the chart.
    pub(super) fn total(&self) -> Totals {
        sum(self.days.iter().map(|day| &day.totals))
    }
}

/// What the last full days cost, and how long they were.
struct Pace {
    cost: NanoUsd,
    span_ms: i64,
}

impl Pace {
    /// Returns the pace of the days before the last one. Days before anything was used do not count.
    fn of(days: &[Day]) -> Option<Self> {
        let (today, before) = days.split_last()?;
        let first_used = before.iter().position(|day| !day.totals.is_nothing())?;
        let first = first_used.max(before.len().saturating_sub(PACE_DAYS));
        let counted = before.get(first..)?;
        let span_ms = today.start_ms.saturating_sub(counted.first()?.start_ms);
        (span_ms > 0).then(|| Self {
            cost: sum(counted.iter().map(|day| &day.totals)).cost,
            span_ms,
        })
    }

    fn of_span(&self, ms: i64) -> NanoUsd {
        let cost = i128::from(self.cost.0) * i128::from(ms) / i128::from(self.span_ms);
        NanoUsd(i64::try_from(cost).unwrap_or(i64::MAX))
    }
}

/// What all users have used.
#[derive(Debug)]
pub(super) struct Overall {
    pub(super) history: History,
    /// Users and groups of the last [`CHART_DAYS`] days, the most costly first.
    pub(super) users: Vec<Named>,
    pub(super) groups: Vec<Named>,
}

impl Overall {
    fn read(context: &AdminContext) -> Result<Self, AdminError> {
        let window = HistoryWindow::new(&context.calendar);
        let people = split(context, "user,group", window.chart_since(), None)?;
        let days = split(context, "day,model", window.since(), None)?;
        let (mut users, mut groups) = (HashMap::new(), HashMap::new());
        for line in &people.costs {
            let user = value_of(line, Dimension::User);
            let group = match value_of(line, Dimension::Group) {
                NO_GROUP => "no group",
                group => group,
            };
            let of_user: &mut Totals = users.entry(user).or_default();
            of_user.add(&line.totals);
            let of_group: &mut Totals = groups.entry(group).or_default();
            of_group.add(&line.totals);
        }
        Ok(Self {
            history: window.history(&context.calendar, &days.costs),
            users: ranked(users),
            groups: ranked(groups),
        })
    }
}

/// Returns what one user has used.
pub(super) fn history_of_user(
    context: &AdminContext,
    username: &str,
) -> Result<History, AdminError> {
    let window = HistoryWindow::new(&context.calendar);
    let lines = split(context, "day,model", window.since(), Some(username))?;
    Ok(window.history(&context.calendar, &lines.costs))
}

/// What each user has used this month, by name.
pub(super) struct MonthByUser(HashMap<String, Totals>);

impl MonthByUser {
    fn read(context: &AdminContext) -> Result<Self, AdminError> {
        let window = Window {
            period: Some("month".to_owned()),
            ..Window::default()
        };
        let report = costs(context, "user", window, None)?;
        let users = report.costs.into_iter().filter(|line| !line.is_deleted);
        let users = users.map(|line| (value_of(&line, Dimension::User).to_owned(), line.totals));
        Ok(Self(users.collect()))
    }

    pub(super) fn of(&self, username: &str) -> Totals {
        self.0.get(username).copied().unwrap_or_default()
    }
}

fn split(
    context: &AdminContext,
    by: &str,
    since: String,
    username: Option<&str>,
) -> Result<SplitReport, AdminError> {
    let window = Window {
        since: Some(since),
        ..Window::default()
    };
    costs(context, by, window, username)
}

fn costs(
    context: &AdminContext,
    by: &str,
    window: Window,
    username: Option<&str>,
) -> Result<SplitReport, AdminError> {
    let report = context.run(ListCosts {
        by: Some(by.to_owned()),
        window,
        username: username.map(str::to_owned),
        ..ListCosts::default()
    })?;
    serde_json::from_str(report.get()).map_err(|error| AdminError::NotAnObject(error.to_string()))
}

fn value_of(line: &SplitCosts, dimension: Dimension) -> &str {
    let mut values = line.values.iter();
    values
        .find(|(of, _)| *of == dimension)
        .map_or("", |(_, value)| value)
}

fn sum<'a>(totals: impl Iterator<Item = &'a Totals>) -> Totals {
    totals.fold(Totals::default(), |mut sum, totals| {
        sum.add(totals);
        sum
    })
}

/// Sorts sums by cost, then tokens, then name.
fn ranked(totals: HashMap<&str, Totals>) -> Vec<Named> {
    let mut named: Vec<Named> = totals
        .into_iter()
        .map(|(name, totals)| Named {
            name: name.to_owned(),
            totals,
        })
        .collect();
    named.sort_by(|one, other| {
        let key = |named: &Named| (named.totals.cost, named.totals.tokens());
        key(other)
            .cmp(&key(one))
            .then_with(|| one.name.cmp(&other.name))
    });
    named
}

/// Figures that all operators see, kept for a moment.
#[derive(Default)]
pub(super) struct Figures {
    overall: Keeper<Overall>,
    months: Keeper<MonthByUser>,
}

impl Figures {
    /// Returns what all users have used. It blocks.
    pub(super) fn overall(&self, context: &AdminContext) -> Result<Arc<Overall>, AdminError> {
        self.overall.get(|| Overall::read(context))
    }

    /// Returns what each user has used this month. It blocks.
    pub(super) fn months(&self, context: &AdminContext) -> Result<Arc<MonthByUser>, AdminError> {
        self.months.get(|| MonthByUser::read(context))
    }

    /// Reads again what is no longer fresh and was asked for. It blocks.
    pub(super) fn refresh(&self, context: &AdminContext) {
        // An error shows when a page asks.
        let _ = self.overall.refresh(|| Overall::read(context));
        let _ = self.months.refresh(|| MonthByUser::read(context));
    }
}

/// A value that takes long to read.
struct Keeper<T> {
    kept: Mutex<Option<Kept<T>>>,
    /// Held by the one who reads, so that those who come meanwhile do not read it too.
    reading: Mutex<()>,
}

struct Kept<T> {
    value: Arc<T>,
    read_at: Instant,
    fresh_for: Duration,
    shown_for: Duration,
}

impl<T> Default for Keeper<T> {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            reading: Mutex::default(),
        }
    }
}

impl<T> Keeper<T> {
    /// Returns the value that was read last, if it is not too old, and otherwise reads it.
    fn get(&self, read: impl FnOnce() -> Result<T, AdminError>) -> Result<Arc<T>, AdminError> {
        if let Some(value) = self.younger_than(|kept| kept.shown_for) {
            return Ok(value);
        }
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        match self.younger_than(|kept| kept.fresh_for) {
            Some(value) => Ok(value),
            None => self.read(read),
        }
    }

    /// Reads the value again if there is one, it is not fresh, and nobody else reads it.
    fn refresh(&self, read: impl FnOnce() -> Result<T, AdminError>) -> Result<(), AdminError> {
        let is_stale = self.younger_than(|kept| kept.shown_for).is_some()
            && self.younger_than(|kept| kept.fresh_for).is_none();
        if is_stale && let Ok(_reading) = self.reading.try_lock() {
            self.read(read)?;
        }
        Ok(())
    }

    fn read(&self, read: impl FnOnce() -> Result<T, AdminError>) -> Result<Arc<T>, AdminError> {
        let began = Instant::now();
        let value = Arc::new(read()?);
        let took = began.elapsed();
        let fresh_for = (took * FRESH_FACTOR).max(MIN_FRESH);
        let kept = Kept {
            value: Arc::clone(&value),
            read_at: Instant::now(),
            fresh_for,
            shown_for: if took < QUICK {
                fresh_for
            } else {
                fresh_for.max(MAX_SHOWN)
            },
        };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(value)
    }

    fn younger_than(&self, age: impl FnOnce(&Kept<T>) -> Duration) -> Option<Arc<T>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.as_ref()?;
        (kept.read_at.elapsed() < age(kept)).then(|| Arc::clone(&kept.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(start_ms: i64, cost: i64) -> Day {
        Day {
            date: String::new(),
            start_ms,
            totals: Totals {
                requests: i64::from(cost > 0),
                cost: NanoUsd(cost),
                ..Totals::default()
            },
        }
    }

    #[test]
    fn a_pace_is_that_of_the_full_days_since_the_first_use_seven_at_most() {
        assert!(Pace::of(&[]).is_none());
        assert!(Pace::of(&[day(0, 5)]).is_none());
        assert!(Pace::of(&[day(0, 0), day(10, 5)]).is_none());
        let days = [day(0, 0), day(10, 4), day(20, 0), day(30, 100)];
        let pace = Pace::of(&days).unwrap();
        assert_eq!((pace.cost, pace.span_ms), (NanoUsd(4), 20));
        assert_eq!(pace.of_span(10), NanoUsd(2));
        let days: Vec<Day> = (0..10).map(|nth| day(nth * 10, 1)).collect();
        let pace = Pace::of(&days).unwrap();
        assert_eq!((pace.cost, pace.span_ms), (NanoUsd(7), 70));
    }

    #[test]
    fn a_kept_value_is_shown_while_it_is_read_again() {
        let keeper: Keeper<u32> = Keeper::default();
        assert!(keeper.refresh(|| Ok(1)).is_ok());
        assert_eq!(*keeper.get(|| Ok(2)).unwrap(), 2);
        assert_eq!(*keeper.get(|| Ok(3)).unwrap(), 2);
        if let Some(kept) = keeper.kept.lock().unwrap().as_mut() {
            kept.fresh_for = Duration::ZERO;
            kept.shown_for = MAX_SHOWN;
        }
        assert_eq!(*keeper.get(|| Ok(4)).unwrap(), 2);
        assert!(keeper.refresh(|| Ok(5)).is_ok());
        assert_eq!(*keeper.get(|| Ok(6)).unwrap(), 5);
    }
}
