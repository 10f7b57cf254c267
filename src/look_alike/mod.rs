//! A small look-alike of OpenAI's API, which `llmproxy demo` uses instead of OpenAI, and the tests
//! too. It invents nothing: it answers "You said: …".
//!
//! It serves chat completions, legacy completions and responses (each plain and streamed),
//! embeddings and models. A word is a token: input is the words of all messages or prompts (85 for an image, a file or a sound), a
//! third of it is cached; output is the words of the answer. A request with `tools` is answered with
//! a call of the first one. `GET /stats` says what was given out since the start.
//!
//! A request says what happens to it by an object `x_backend` in its body. Each member is optional:
//!
//! | member | meaning |
//! | --- | --- |
//! | `words` | length of the answer, up to 10,000: the echo is repeated or cut |
//! | `cached_tokens`, `reasoning_tokens` | these instead of a third and of 0; reasoning adds to the output |
//! | `delay_ms`, `event_delay_ms` | wait before the head, before each event |
//! | `status` | 400 to 599: an error in OpenAI's form; 401 quotes the key, 429 has `Retry-After: 1` |
//! | `usage` | `none`: never reported; `zero`: all numbers are 0; and in streams `every_chunk`: a running count in each; `last_chunk`: beside `finish_reason` only; `usage_only`: in a chunk of its own though not asked for |
//! | `break_after` | drop the connection after so many events, a plain answer halfway; 0: before the head |
//! | `crlf` | lines of events end in CRLF |

mod answer;
mod embeddings;
mod playing;
mod refusal;
mod request;
mod responses;
mod script;
mod serve;
mod stats;
mod words;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
};

use actix_web::{dev::ServerHandle, web};
pub use stats::{Sums, Totals, Usage};

use serve::Backend;
use stats::Stats;

/// Settings of a look-alike.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on.
    pub host: String,
    /// 0 takes any free port.
    pub port: u16,
    /// The only key that is accepted. Without it, any is, and so is none.
    pub key: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 0,
            key: None,
        }
    }
}

/// A look-alike that runs in a thread of its own until this is dropped.
pub struct LookAlike {
    pub address: SocketAddr,
    stats: Arc<Stats>,
    server: ServerHandle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl LookAlike {
    /// Starts one.
    ///
    /// # Errors
    /// [`io::Error`] if the address cannot be bound or the server cannot be started.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind((settings.host.as_str(), settings.port))?;
        let address = listener.local_addr()?;
        let stats = Arc::new(Stats::default());
        let backend = Backend::new(settings.key, Arc::clone(&stats));
        let (started, server) = std::sync::mpsc::channel();
        let thread = thread::Builder::new()
            .name("look-alike".to_owned())
            .spawn(move || {
                actix_web::rt::System::new().block_on(async move {
                    let server = serve::serve(listener, web::Data::new(backend))?;
                    started.send(server.handle()).map_err(io::Error::other)?;
                    server.await
                })
            })?;
        let server = server.recv().map_err(io::Error::other)?;
        Ok(Self {
            address,
            stats,
            server,
            thread: Some(thread),
        })
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns what was given out since the start.
    #[must_use]
    pub fn stats(&self) -> Totals {
        self.stats.lock().clone()
    }

    /// Returns when the server has ended.
    ///
    /// # Errors
    /// [`io::Error`] if the server failed.
    pub fn wait(&mut self) -> io::Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(error),
            Some(Err(_)) => Err(io::Error::other("the look-alike panicked")),
        }
    }
}

impl Drop for LookAlike {
    fn drop(&mut self) {
        // The call itself sends the command; its future would only wait for the end.
        drop(self.server.stop(false));
        let _ = self.wait();
    }
}
