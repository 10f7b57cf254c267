//! The thread that asks the target.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use super::Target;
use crate::{
    admin::{AllowKey, ForbidKey, LiveActivity, ShowLive, UserOrKey},
    model::without_keys,
};

/// What the thread is to do.
pub(super) enum Question {
    Live(ShowLive),
    SetActive { user: String, is_active: bool },
}

/// What came of it; an error is a line of text.
pub(super) enum Answer {
    Live(Result<Box<LiveActivity>, String>),
    Done(Result<String, String>),
}

/// The thread's other end.
pub(super) struct Asker {
    questions: Sender<Question>,
    answers: Receiver<Answer>,
}

impl Asker {
    /// Starts the thread. It ends with the process, or when nobody listens any more.
    pub(super) fn start(target: Target) -> Self {
        let (questions, to_answer) = channel();
        let (answered, answers) = channel();
        thread::spawn(move || {
            while let Ok(question) = to_answer.recv() {
                if answered.send(answer(&target, question)).is_err() {
                    return;
                }
            }
        });
        Self { questions, answers }
    }

    pub(super) fn ask(&self, question: Question) {
        // The thread lives as long as this end does.
        let _ = self.questions.send(question);
    }

    /// Returns the next answer that has come.
    pub(super) fn answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}

fn answer(target: &Target, question: Question) -> Answer {
    let line = |error: anyhow::Error| without_keys(&format!("{error:#}"));
    match question {
        Question::Live(query) => Answer::Live(target.run(query).map(Box::new).map_err(line)),
        Question::SetActive { user, is_active } => {
            let named = UserOrKey {
                username: Some(user.clone()),
                api_key: None,
            };
            let done = if is_active {
                target.run(AllowKey(named))
            } else {
                target.run(ForbidKey(named))
            };
            let word = if is_active { "allowed" } else { "forbidden" };
            Answer::Done(done.map(|_| format!("{user} is {word}")).map_err(line))
        }
    }
}
