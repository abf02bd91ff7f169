//! `cryokey run` as init: a courier collects the secrets and ends, then the app runs as a child. One loop waits for
//! signals, the courier's messages and time; `machine` decides what each means.

use std::io;
use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Rlimit, Signal as Known, kill_process, kill_process_group};

use crate::app::{self, App, NotStarted, Surroundings};
use crate::children::{self, Change};
use crate::encoding::Handover;
use crate::exec::{self, ExecError};
use crate::exit::Exit;
use crate::handover::{self, Courier, Directory, Inbox};
use crate::launch::Launch;
use crate::machine::{self, Cancelled, Effect, End, Event, State, step};
use crate::signals::{self, SignalFd};
use crate::terminal::Terminal;
use crate::user::{User, UserError, become_user};
use crate::{harden, startup, stop};

/// How long a courier may take to undo what it has done, and how often it is looked whether it has.
const TO_UNDO: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(1);

/// So many children are buried before signals are looked at again.
const CHILDREN_AT_ONCE: usize = 64;

/// What is left of the app when init ends.
#[derive(Debug)]
pub struct Ended {
    pub outcome: Ending,
    /// The directory in which files were delivered, to be removed.
    pub directory: Option<Directory>,
}

/// How the app, or the attempt to start it, ended.
#[derive(Debug)]
pub enum Ending {
    App(Exit),
    /// execve failed.
    NotStarted(Launch, ExecError),
    /// The courier ended with this code, and has said why.
    NotPrepared(u8),
    /// The courier was killed by this signal.
    CourierKilled(u8),
    /// The courier ended as if all were well, without a launch.
    NoLaunch,
    /// A stop signal arrived before the app ran.
    Stopped(u8),
    /// The courier did not end within the limit that it had set itself.
    TooLate,
    /// Init could not become the app's user.
    NotTheUser(User, UserError),
    /// The kernel has no process, or no descriptor, for this.
    NoProcess(io::Error),
}

/// What init does by itself, and what it learns, to be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The app was killed, because it did not end within the grace.
    KilledApp,
    /// The app did not end within the grace, and has become another user's process.
    CannotKillApp,
    /// What the app left behind was killed, because it did not end within the linger.
    KilledRest,
    /// What the app left behind did not end within the linger, and cannot be found without `/proc`.
    UnknownRest,
    /// So many lines of the log could not be written before the app ran.
    DroppedLines(usize),
}

/// Runs `prepare` in a process of its own, then the app that it hands over, until that has ended. `tell` must not block.
/// The caller makes no threads, and does not look at the environment or the arguments again.
pub fn supervise(prepare: impl FnOnce(&Courier) -> u8, tell: &mut dyn FnMut(Told)) -> Ended {
    match Init::begin(prepare) {
        Ok(mut init) => init.run(tell),
        Err(error) => Ended { outcome: Ending::NoProcess(error), directory: None },
    }
}

struct Init {
    state: State,
    started: Instant,
    signals: SignalFd,
    courier: Pid,
    inbox: Option<Inbox>,
    directory: Option<Directory>,
    handover: Option<Handover>,
    app: Option<App>,
    /// Why there is no app.
    failure: Option<Ending>,
    terminal: Option<Terminal>,
    core_limit: Rlimit,
    /// Children are left that may have ended.
    is_behind: bool,
}

impl Init {
    fn begin(prepare: impl FnOnce(&Courier) -> u8) -> io::Result<Self> {
        signals::set_mask(signals::ALL);
        signals::keep_status_of_children();
        let signals = SignalFd::new(stop::obeyed() | signals::bit(libc::SIGCHLD))?;
        let core_limit = harden::allow_no_core();
        let (inbox, courier) = handover::pair()?;
        if !startup::is_pid_1() {
            // Without it, orphans go to another process, and nothing else is lost.
            let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        }
        let Some(process) = app::fork()? else {
            drop((inbox, signals));
            signals::set_mask(signals::inherited_mask());
            app::exit_at_once(prepare(&courier));
        };
        drop(courier);
        // SAFETY: one thread, and nothing here reads the strings again: the launch has its own.
        unsafe { harden::erase_start_strings() };
        Ok(Self {
            state: State::Preparing { until: None },
            started: Instant::now(),
            signals,
            courier: process,
            inbox: Some(inbox),
            directory: None,
            handover: None,
            app: None,
            failure: None,
            terminal: Terminal::of_session(),
            core_limit,
            is_behind: false,
        })
    }

    fn run(&mut self, tell: &mut dyn FnMut(Told)) -> Ended {
        loop {
            if let State::Ended(end) = self.state {
                return self.end(end);
            }
            self.wait();
            self.take_in_messages(tell);
            self.read_signals(tell);
            self.bury(tell);
            self.handle(Event::Time, tell);
        }
    }

    /// Until something happens or is due.
    fn wait(&self) {
        let due = if self.is_behind { Some(Duration::ZERO) } else { machine::due(self.state) };
        let left = due.map(|due| due.saturating_sub(self.started.elapsed()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let messages = self.inbox.as_ref().and_then(Inbox::socket);
        let mut watched = vec![PollFd::new(&self.signals, PollFlags::IN)];
        watched.extend(messages.iter().map(|socket| PollFd::new(socket, PollFlags::IN)));
        // Interrupted or not, what has happened is looked at.
        let _ = poll(&mut watched, timeout.as_ref());
    }

    fn handle(&mut self, event: Event, tell: &mut dyn FnMut(Told)) {
        let (state, effect) = step(self.state, event, self.started.elapsed());
        self.state = state;
        if let Some(effect) = effect {
            self.carry_out(effect, tell);
        }
    }

    fn carry_out(&mut self, effect: Effect, tell: &mut dyn FnMut(Told)) {
        match effect {
            // One that has ended is not buried yet, so its number is still its own.
            Effect::StopCourier => children::signal(self.courier, Known::TERM),
            Effect::KillCourier => children::signal(self.courier, Known::KILL),
            Effect::StartApp => self.start_app(tell),
            Effect::Forward(signal, to) => self.app.iter().for_each(|app| app.send(signal, to)),
            Effect::KillApp => {
                let app = self.app.as_ref().map(|app| kill_process(app.process, Known::KILL));
                tell(if app == Some(Ok(())) { Told::KilledApp } else { Told::CannotKillApp });
            }
            Effect::EndRest => {
                self.signal_rest(Known::TERM);
                // A stopped process does not end before it is continued.
                self.signal_rest(Known::CONT);
            }
            Effect::KillRest => {
                tell(if self.signal_rest(Known::KILL) { Told::KilledRest } else { Told::UnknownRest });
            }
        }
    }

    /// Whether it is known who that is.
    fn signal_rest(&self, signal: Known) -> bool {
        self.app.as_ref().is_none_or(|app| children::signal_rest(app.process, signal))
    }

    fn start_app(&mut self, tell: &mut dyn FnMut(Told)) {
        if let Err(failure) = self.try_to_start_app() {
            self.failure = Some(failure);
            self.handle(Event::NotStarted, tell);
        }
    }

    fn try_to_start_app(&mut self) -> Result<(), Ending> {
        let Some((handover, inbox)) = self.handover.take().zip(self.inbox.as_ref()) else { return Ok(()) };
        if let Some(user) = handover.user {
            become_user(&user).map_err(|error| Ending::NotTheUser(user, error))?;
        }
        let surroundings = Surroundings {
            files: &inbox.files,
            core_limit: self.core_limit,
            terminal: self.terminal.as_ref(),
        };
        match App::start(&handover.launch, &surroundings) {
            Ok(app) => self.app = Some(app),
            Err(NotStarted::NoProcess(error)) => return Err(Ending::NoProcess(error)),
            Err(NotStarted::Failed(failure)) => {
                let error = exec::explain(&handover.launch, failure);
                return Err(Ending::NotStarted(handover.launch, error));
            }
        }
        inbox.confirm();
        self.inbox = None;
        self.signals.watch(signals::ALL);
        Ok(())
    }

    /// While the courier runs; what it has sent before its end is read before that is noticed.
    fn take_in_messages(&mut self, tell: &mut dyn FnMut(Told)) {
        let Some(inbox) = self.inbox.as_mut() else { return };
        inbox.receive();
        self.directory = inbox.directory.take().or(self.directory.take());
        let dropped = mem::take(&mut inbox.dropped);
        if dropped > 0 {
            tell(Told::DroppedLines(dropped));
        }
        let is_prepared = inbox.courier_waits && self.handover.is_none();
        if let Some(limit) = inbox.limit.take() {
            self.handle(Event::Limit(limit), tell);
        }
        if is_prepared {
            let event = self.prepared(Exit::Code(0));
            self.handle(event, tell);
        }
    }

    fn read_signals(&mut self, tell: &mut dyn FnMut(Told)) {
        while let Some(signal) = self.signals.next() {
            if i32::from(signal.number) != libc::SIGCHLD {
                self.handle(Event::Signal(signal), tell);
            }
        }
    }

    /// Not only after SIGCHLD: of many that arrive at once, one is left.
    fn bury(&mut self, tell: &mut dyn FnMut(Told)) {
        self.is_behind = false;
        for _ in 0..CHILDREN_AT_ONCE {
            match children::next_change() {
                Change::None => return,
                Change::Alone => return self.handle(Event::Alone, tell),
                Change::Ended(child, exit) => self.ended(child, exit, tell),
                Change::Stopped(child, signal) => self.stopped(child, signal),
            }
        }
        // More may wait, and their SIGCHLD has been read.
        self.is_behind = true;
    }

    fn ended(&mut self, child: Pid, exit: Exit, tell: &mut dyn FnMut(Told)) {
        if child == self.courier && self.app.is_none() {
            self.take_in_messages(tell);
            let event = self.prepared(exit);
            self.handle(event, tell);
        } else if self.app.as_ref().is_some_and(|app| app.process == child) {
            self.handle(Event::AppEnded(exit), tell);
        }
    }

    fn prepared(&mut self, exit: Exit) -> Event {
        self.handover = self.inbox.as_ref().and_then(Inbox::handover).filter(|_| exit == Exit::Code(0));
        self.handover.as_ref().map_or(Event::NotPrepared(exit), |handover| Event::Prepared(handover.policy))
    }

    /// Ctrl-Z stops the app's group, and so does reading in the background. The shell that waits for cryokey has to see
    /// that, so cryokey's own group stops too, until the shell continues it. PID 1 cannot stop, and has no shell.
    fn stopped(&self, child: Pid, signal: i32) {
        let is_job_control = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&signal);
        let is_app = self.app.as_ref().is_some_and(|app| app.process == child);
        let Some(terminal) = &self.terminal else { return };
        if startup::is_pid_1() || !is_app || !is_job_control {
            return;
        }
        terminal.take_back_from(Some(child));
        let is_continued = signals::stop_group_by(signal);
        // Where no shell can continue anything, Ctrl-Z has no effect. A read would only be repeated.
        if is_continued || signal == libc::SIGTSTP {
            terminal.lend_to(child);
            let _ = kill_process_group(child, Known::CONT);
        }
    }

    fn end(&mut self, end: End) -> Ended {
        if !matches!(end, End::App(_)) {
            self.end_courier();
        }
        if let Some(terminal) = &self.terminal {
            terminal.take_back_from(self.app.as_ref().map(|app| app.process));
        }
        Ended { outcome: self.ending(end), directory: self.directory.take() }
    }

    /// Where the app does not run: a courier that waits undoes what it has done, and what it may have left behind, a
    /// program that signs in, is killed.
    fn end_courier(&mut self) {
        let is_waiting = self.inbox.take().is_some_and(|inbox| inbox.courier_waits);
        let started = Instant::now();
        while is_waiting && started.elapsed() < TO_UNDO && !children::has_ended(self.courier) {
            thread::sleep(LOOK);
        }
        children::signal_rest(self.courier, Known::KILL);
    }

    fn ending(&mut self, end: End) -> Ending {
        match end {
            End::App(exit) => Ending::App(exit),
            End::Cancelled(Cancelled::Signal(signal)) => Ending::Stopped(signal),
            End::Cancelled(Cancelled::TooLate) => Ending::TooLate,
            End::NotPrepared(Exit::Code(0)) => Ending::NoLaunch,
            End::NotPrepared(Exit::Code(code)) => Ending::NotPrepared(code),
            End::NotPrepared(Exit::Signal(signal)) => Ending::CourierKilled(signal),
            End::NotStarted => self.failure.take().unwrap_or(Ending::NoLaunch),
        }
    }
}
