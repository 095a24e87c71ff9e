//! `ff tail`: the output of an execution, while it comes.

use flowfabric::SdkError;
use flowfabric::ff_core::contracts::inspect::ExecutionInfo;
use flowfabric::ff_core::contracts::stream::{StreamCursor, StreamFrame, StreamFrames};
use flowfabric::ff_core::ids::{AttemptIndex, ExecutionId};
use flowfabric::ff_core::state::PublicState;
use flowfabric::ff_core::time::TimestampMs;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::out::{self, dim, note, raw};
use crate::payload::{self, Told};
use crate::when::time_of_day;

/// How long one wait for frames lasts.
const BLOCK_MS: u64 = 5_000;
/// Frames of one look.
const FRAMES_MAX: usize = 1_000;
/// Columns of the type of a frame.
const TYPE_COLUMNS: usize = 8;

/// The column in which payloads begin: after the time and the type.
const PAYLOAD_COLUMN: usize = 12 + 2 + TYPE_COLUMNS + 2;

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  ff tail '{fp:0}:0198c5...'                  from the first frame of the latest attempt
  ff tail '{fp:0}:0198c5...' --from end       only what comes from now on
  ff tail '{fp:0}:0198c5...' --attempt 0 --no-follow
  ff tail '{fp:0}:0198c5...' --raw > out.bin  the payloads alone, byte for byte

Ends with the execution, with 0 however that ended; with --attempt, with the attempt, which it waits
for while the execution is live.";

/// What to follow.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The execution.
    execution_id: ExecutionId,
    /// Only this attempt; the first is 0. By default the latest, and those after it.
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Where to begin: beginning, or end for what comes from now on.
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = From::Beginning,
          hide_possible_values = true)]
    from: From,
    /// Stops at the last frame that is there.
    #[arg(long)]
    no_follow: bool,
    /// Prints the payloads alone, byte for byte.
    #[arg(long, conflicts_with = "output")]
    raw: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum From {
    Beginning,
    End,
}

impl Arguments {
    /// Refuses an attempt that was asked for and that the execution does not have.
    fn refuse_missing(&self, info: &ExecutionInfo) -> Result<(), CliError> {
        let count = info.attempt.map_or(0, |(index, _)| index.0 + 1);
        match self.attempt {
            Some(asked) if asked >= count => Err(CliError::NoAttempt {
                execution_id: self.execution_id,
                asked: AttemptIndex(asked),
                count,
            }),
            _ => Ok(()),
        }
    }
}

/// A frame for programs.
#[derive(Debug, Serialize)]
struct Row<'a> {
    attempt_index: AttemptIndex,
    id: String,
    at: TimestampMs,
    frame_type: &'a str,
    correlation_id: Option<&'a str>,
    #[serde(flatten)]
    payload: Told,
}

/// Follows.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), CliError> {
    let info = context.client.describe(&arguments.execution_id).await?;
    let attempt = match arguments.attempt {
        Some(index) => AttemptIndex(index),
        None => info.attempt.map_or(AttemptIndex(0), |(index, _)| index),
    };
    if arguments.no_follow || info.public_state.is_terminal() {
        arguments.refuse_missing(&info)?;
    }
    let mut tail = Tail {
        context,
        arguments: &arguments,
        attempt,
        after: StreamCursor::from_beginning(),
        said: None,
    };
    if arguments.from == From::End {
        tail.skip().await?;
    }
    let waits = !info.public_state.is_terminal() && info.public_state != PublicState::Active;
    if waits && !arguments.no_follow {
        tail.tell(&info).await?;
    }
    tail.follow().await
}

struct Tail<'a> {
    context: &'a Context,
    arguments: &'a Arguments,
    attempt: AttemptIndex,
    after: StreamCursor,
    /// The state that was told last.
    said: Option<PublicState>,
}

impl Tail<'_> {
    /// Moves past what is there.
    async fn skip(&mut self) -> Result<(), SdkError> {
        loop {
            let seen = self.look(0).await?;
            match seen.frames.last() {
                Some(last) => self.after = StreamCursor::At(last.id),
                None => return Ok(()),
            }
        }
    }

    async fn look(&self, block_ms: u64) -> Result<StreamFrames, SdkError> {
        let id = &self.arguments.execution_id;
        self.context.client.tail_stream(id, self.attempt, self.after, block_ms, FRAMES_MAX).await
    }

    async fn describe(&self) -> Result<ExecutionInfo, SdkError> {
        self.context.client.describe(&self.arguments.execution_id).await
    }

    /// Prints the frames of attempt after attempt until all have ended.
    async fn follow(&mut self) -> Result<(), CliError> {
        loop {
            self.print_attempt().await?;
            if self.arguments.no_follow {
                return Ok(());
            }
            let info = self.describe().await?;
            let last = info.attempt.map_or(AttemptIndex(0), |(index, _)| index);
            if info.public_state.is_terminal() && last <= self.attempt {
                self.arguments.refuse_missing(&info)?;
                self.tell(&info).await?;
                return Ok(());
            }
            if self.arguments.attempt.is_some() {
                return Ok(());
            }
            self.tell(&info).await?;
            self.attempt = AttemptIndex(self.attempt.0 + 1);
            self.after = StreamCursor::from_beginning();
        }
    }

    /// Prints the frames of an attempt until it has ended.
    async fn print_attempt(&mut self) -> Result<(), CliError> {
        let mut is_over = self.arguments.no_follow;
        loop {
            let seen = self.look(if is_over { 0 } else { BLOCK_MS }).await?;
            for frame in &seen.frames {
                self.print(frame)?;
                self.after = StreamCursor::At(frame.id);
            }
            if !seen.frames.is_empty() {
                continue;
            }
            if is_over || seen.closed_at.is_some() {
                return Ok(());
            }
            // An attempt that ended without a frame has no stream that could close.
            let info = self.describe().await?;
            let later = info.attempt.is_some_and(|(index, _)| index > self.attempt);
            is_over = info.public_state.is_terminal() || later;
            if !is_over && info.public_state != PublicState::Active {
                self.tell(&info).await?;
            }
        }
    }

    fn print(&self, frame: &StreamFrame) -> Result<(), CliError> {
        if self.arguments.raw {
            return raw(&frame.payload);
        }
        let out = self.context.out;
        if out.is_json() {
            return out.row(&Row {
                attempt_index: self.attempt,
                id: frame.id.to_string(),
                at: frame.id.at,
                frame_type: &frame.frame_type,
                correlation_id: frame.correlation_id.as_deref(),
                payload: Told::new(&frame.payload),
            });
        }
        let text = payload::beside(&frame.payload, PAYLOAD_COLUMN);
        let (time, name) = (dim(time_of_day(frame.id.at)), &frame.frame_type);
        out.line(format!("{time}  {name:<TYPE_COLUMNS$}  {text}"))
    }

    /// Tells people when the state has changed, and why nothing comes.
    async fn tell(&mut self, info: &ExecutionInfo) -> Result<(), SdkError> {
        let people = !self.context.out.is_json() && !self.arguments.raw;
        if !people || self.said == Some(info.public_state) {
            return Ok(());
        }
        self.said = Some(info.public_state);
        let why = self.context.client.explain(&self.arguments.execution_id).await?;
        note(dim(out::harmless(&why.sentence)));
        Ok(())
    }
}
