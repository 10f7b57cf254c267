//! `llmproxy audit`: does everything that is derived from the ledger agree with its rows?

use anyhow::bail;
use clap::ArgMatches;

use super::{note, print_json, print_list, tables, target::Target};
use crate::{admin::Audit, cli::limits::AuditArgs, config::env_file::Variables, store::IfMissing};

pub(super) fn run(
    args: &AuditArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let report = target.run(Audit {})?;
    if args.output.json {
        print_json(&report)?;
    } else {
        print_list(&args.output, &report, &tables::audit(&report), "")?;
        for difference in report.checks.iter().flat_map(|check| &check.differences) {
            note(difference);
        }
    }
    if report.is_consistent {
        return Ok(());
    }
    let different: u64 = report.checks.iter().map(|check| check.different).sum();
    let sums = if different == 1 {
        "sum differs"
    } else {
        "sums differ"
    };
    bail!("{different} {sums} from the rows of the ledger")
}
