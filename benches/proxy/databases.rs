//! The ledger alone on each database, side by side: a file, and a PostgreSQL server near and far.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use llmproxy::store::ledger::Sync;
use llmproxy::store::{DatabaseLocation, IfMissing, Store};

use crate::delay;
use crate::ledger::{self, Committed, Database};
use crate::postgres::{self, PostgresServer};
use crate::report::{median, number, percentiles_ms};

const WRITERS: [usize; 3] = [1, 64, 1_000];
const COLUMNS: [&str; 9] = [
    "database",
    "writers",
    "rows/s",
    "acknowledged p50, ms",
    "acknowledged p99, ms",
    "rows a commit",
    "a commit, ms",
    "ledger's CPU, µs/row",
    "PostgreSQL's CPU, µs/row",
];
const MEASURES: usize = COLUMNS.len() - 2;

/// A kind of database, and how far it is.
struct Place {
    name: String,
    kind: Kind,
}

enum Kind {
    File(Sync),
    Server {
        address: SocketAddr,
        parameters: &'static str,
        nodes: usize,
    },
}

/// None if PostgreSQL is not installed.
pub fn measure(rounds: usize, duration: Duration) -> io::Result<Option<String>> {
    let Some(server) = PostgresServer::start()? else {
        eprintln!("ledger-postgres: skipped, PostgreSQL is not installed");
        return Ok(None);
    };
    let places = places(&server)?;
    let mut measured: Vec<Vec<[f64; MEASURES]>> = vec![Vec::new(); places.len() * WRITERS.len()];
    for round in 0..rounds {
        eprintln!("ledger-postgres: round {} of {rounds}", round + 1);
        let lines = places
            .iter()
            .flat_map(|place| WRITERS.map(|writers| (place, writers)));
        for ((place, writers), measured) in lines.zip(&mut measured) {
            measured.push(place.measure(&server, writers, duration)?);
        }
    }
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_header(COLUMNS);
    let lines = places
        .iter()
        .flat_map(|place| WRITERS.map(|writers| (place, writers)));
    for ((place, writers), measured) in lines.zip(&measured) {
        let medians = (0..MEASURES).map(|measure| {
            let values: Vec<f64> = measured.iter().map(|values| values[measure]).collect();
            let median = median(&values);
            if median.is_nan() {
                "–".to_owned()
            } else {
                number(median)
            }
        });
        table.add_row(
            [place.name.clone(), writers.to_string()]
                .into_iter()
                .chain(medians),
        );
    }
    let columns = table.column_iter_mut().skip(1);
    columns.for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    let version = server.version();
    Ok(Some(format!(
        "the ledger alone, PostgreSQL {version} with its own settings (fsync on), networks by a relay; medians of {rounds} rounds\n{table}"
    )))
}

fn places(server: &PostgresServer) -> io::Result<Vec<Place>> {
    let file = |name: &str, sync| Place {
        name: name.to_owned(),
        kind: Kind::File(sync),
    };
    let at = |name: &str, address, parameters| Place {
        name: format!("PostgreSQL, {name}"),
        kind: Kind::Server {
            address,
            parameters,
            nodes: 1,
        },
    };
    let near = server.address();
    let far = |ms| delay::start(near, Duration::from_millis(ms));
    Ok(vec![
        file("SQLite", Sync::Normal),
        file("SQLite, LEDGER_SYNC=full", Sync::Full),
        at(
            "synchronous_commit=off",
            near,
            "?options=-c%20synchronous_commit%3Doff",
        ),
        at("loopback", near, ""),
        at("1 ms each way", far(1)?, ""),
        at("5 ms each way", far(5)?, ""),
        Place {
            name: "PostgreSQL, loopback, 10 nodes".to_owned(),
            kind: Kind::Server {
                address: near,
                parameters: "",
                nodes: 10,
            },
        },
    ])
}

impl Place {
    fn measure(
        &self,
        server: &PostgresServer,
        writers: usize,
        duration: Duration,
    ) -> io::Result<[f64; MEASURES]> {
        let (committed, server_cpu) = match self.kind {
            Kind::File(sync) => (ledger::measure_file(writers, sync, duration)?, None),
            Kind::Server {
                address,
                parameters,
                nodes,
            } => {
                let name = server.create_database()?;
                let url = format!("{}{parameters}", postgres::url(address, &name));
                // Makes the tables, which takes longer than some thousand rows.
                let location = DatabaseLocation::parse(&url).map_err(io::Error::other)?;
                drop(Store::open(&location, IfMissing::Create).map_err(io::Error::other)?);
                let before = server.cpu()?;
                let database = Database::Postgres(&url, &|| {
                    let mut client = server.connect(&name)?;
                    let count = client.query_one("SELECT count(*) FROM usage_logs", &[]);
                    Ok(count.map_err(io::Error::other)?.get(0))
                });
                let committed = ledger::measure(&database, nodes, writers, duration)?;
                let cpu = server.cpu()?.saturating_sub(before);
                server.drop_database(&name)?;
                (committed, Some(cpu))
            }
        };
        Ok(figures(&committed, server_cpu))
    }
}

fn figures(committed: &Committed, server_cpu: Option<Duration>) -> [f64; MEASURES] {
    let [p50, p99] = percentiles_ms(&committed.latencies_ns);
    let rows = committed.rows as f64;
    let commits = committed.commits.max(1) as f64;
    [
        committed.rows_per_second,
        p50,
        p99,
        rows / commits,
        committed.commit_time.as_secs_f64() * 1e3 / commits,
        committed.cpu.as_secs_f64() * 1e6 / rows,
        server_cpu.map_or(f64::NAN, |cpu| cpu.as_secs_f64() * 1e6 / rows),
    ]
}
