//! What the courier passes to init, over a socket that keeps messages apart: how long it takes at most, the directory it
//! is about to deliver to, files in memory, the launch, and how many lines are missing in the log. A launch is used only
//! when all of it has arrived.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::Pid;
use zeroize::Zeroizing;

use crate::encoding::{self, Handover};

/// The first byte of a message.
const TIME: u8 = b't';
const DROPPED: u8 = b'n';
const DIRECTORY: u8 = b'd';
const FILE: u8 = b'f';
const LAUNCH: u8 = b'l';
const PART: u8 = b'p';
const END: u8 = b'e';

/// The answer to a courier that waits; the end of the socket means the opposite.
const STARTED: [u8; 1] = *b"s";

/// A message is no longer, so that it always fits the buffer of a socket.
const LONGEST: usize = 16 << 10;

/// The kernel starts no program with more than 6 MiB of strings; their pointers and the rest come on top.
const LONGEST_LAUNCH: usize = 16 << 20;

/// The courier's end. What cannot be sent any more is for an init that has gone.
#[derive(Debug)]
pub struct Courier {
    socket: OwnedFd,
    init: Pid,
}

/// A directory in which files are delivered: the one it is in, and its name.
pub type Directory = (OwnedFd, String);

/// The end of init.
#[derive(Debug)]
pub(crate) struct Inbox {
    socket: OwnedFd,
    expected: Option<usize>,
    parts: Zeroizing<Vec<u8>>,
    is_complete: bool,
    /// The courier lives until it is told whether the app has been started.
    pub(crate) courier_waits: bool,
    /// The courier has closed its end.
    is_closed: bool,
    /// How long the courier takes at most, counted from when this arrives.
    pub(crate) limit: Option<Duration>,
    /// How many lines of the log the courier could not write.
    pub(crate) dropped: usize,
    pub(crate) directory: Option<Directory>,
    pub(crate) files: Vec<OwnedFd>,
}

pub(crate) fn pair() -> Result<(Inbox, Courier), Errno> {
    let (family, flags) = (AddressFamily::UNIX, SocketFlags::CLOEXEC);
    let (ours, theirs) = rustix::net::socketpair(family, SocketType::SEQPACKET, flags, None)?;
    Ok((Inbox::new(ours), Courier { socket: theirs, init: rustix::process::getpid() }))
}

impl Courier {
    /// The process that stays while the app runs.
    #[must_use]
    pub fn init(&self) -> Pid {
        self.init
    }

    /// If this process does not end by then, init ends it, and the app is not started. Replaces an earlier limit.
    pub fn limit(&self, time: Duration) -> Result<(), Errno> {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.send(TIME, &milliseconds.to_le_bytes(), None)
    }

    /// Tells how many lines of the log this process could not write, besides those told before.
    pub fn dropped(&self, lines: usize) -> Result<(), Errno> {
        self.send(DROPPED, &lines.to_le_bytes(), None)
    }

    /// To be called before the directory is made, so that init can remove it whatever happens.
    pub fn announce(&self, parent: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
        self.send(DIRECTORY, name.as_bytes(), Some(parent))
    }

    /// Hands over the app, and files that it gets under the numbers that they have here. With `waits`, init starts the
    /// app while this process lives, which then asks `is_started`; else it waits for the end of this process.
    pub fn hand_over(&self, handover: &Handover, files: &[OwnedFd], waits: bool) -> Result<(), Errno> {
        for file in files {
            self.send(FILE, &file.as_raw_fd().to_le_bytes(), Some(file.as_fd()))?;
        }
        let bytes = encoding::encode(handover);
        self.send(LAUNCH, &bytes.len().to_le_bytes(), None)?;
        bytes.chunks(LONGEST - 1).try_for_each(|part| self.send(PART, part, None))?;
        self.send(END, &[u8::from(waits)], None)
    }

    /// Waits until the app has been started, or cannot be.
    #[must_use]
    pub fn is_started(&self) -> bool {
        let mut answer = [0];
        let received = rustix::io::retry_on_intr(|| rustix::io::read(&self.socket, &mut answer));
        received == Ok(1) && answer == STARTED
    }

    fn send(&self, kind: u8, content: &[u8], descriptor: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
        let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let message = [IoSlice::new(std::slice::from_ref(&kind)), IoSlice::new(content)];
        rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(&self.socket, &message, &mut control, SendFlags::NOSIGNAL)
        })?;
        Ok(())
    }
}

impl Inbox {
    fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            expected: None,
            parts: Zeroizing::default(),
            is_complete: false,
            courier_waits: false,
            is_closed: false,
            limit: None,
            dropped: 0,
            directory: None,
            files: Vec::new(),
        }
    }

    /// Readable when there is something to receive. `None`: nothing comes any more, while the end of the socket would
    /// be readable all the time.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        (!self.is_closed).then(|| self.socket.as_fd())
    }

    /// Takes in what has arrived, without waiting.
    pub(crate) fn receive(&mut self) {
        while !self.is_closed {
            match self.receive_one() {
                Ok(true) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Ok(false) | Err(_) => self.is_closed = true,
            }
        }
    }

    /// Tells the courier that the app has been started.
    pub(crate) fn confirm(&self) {
        // It may have been killed meanwhile.
        let _ = rustix::net::send(&self.socket, &STARTED, SendFlags::NOSIGNAL);
    }

    /// What was handed over, if all of it has arrived.
    pub(crate) fn handover(&self) -> Option<Handover> {
        self.is_complete.then(|| encoding::decode(&self.parts)).flatten()
    }

    fn receive_one(&mut self) -> Result<bool, Errno> {
        let mut message = Zeroizing::new([0; LONGEST]);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let buffer = &mut [IoSliceMut::new(&mut *message)];
        let received = rustix::net::recvmsg(&self.socket, buffer, &mut control, flags)?;
        let descriptor = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let Some((kind, content)) = message.get(..received.bytes).and_then(<[u8]>::split_first) else {
            return Ok(false);
        };
        self.take_in(*kind, content, descriptor);
        Ok(true)
    }

    fn take_in(&mut self, kind: u8, content: &[u8], descriptor: Option<OwnedFd>) {
        match (kind, descriptor) {
            (TIME, None) => {
                let milliseconds = content.try_into().map(u64::from_le_bytes).ok();
                self.limit = milliseconds.map(Duration::from_millis);
            }
            (DROPPED, None) => {
                let lines = content.try_into().map_or(0, usize::from_le_bytes);
                self.dropped = self.dropped.saturating_add(lines);
            }
            (DIRECTORY, Some(parent)) => {
                self.directory = std::str::from_utf8(content).ok().map(|name| (parent, name.to_owned()));
            }
            (FILE, Some(file)) => {
                let number = content.try_into().map(RawFd::from_le_bytes).ok();
                self.files.extend(number.and_then(|number| numbered(file, number)));
            }
            (LAUNCH, None) => {
                let length = content.try_into().map(usize::from_le_bytes).ok();
                self.expected = length.filter(|length| *length <= LONGEST_LAUNCH);
                // At once at its final size: growing would leave a copy of the values behind.
                self.parts = Zeroizing::new(Vec::with_capacity(self.expected.unwrap_or_default()));
            }
            (PART, None) if self.parts.len() + content.len() <= self.expected.unwrap_or_default() => {
                self.parts.extend_from_slice(content);
            }
            (END, None) => {
                self.is_complete = Some(self.parts.len()) == self.expected;
                self.courier_waits = self.is_complete && content == [1];
            }
            _ => self.expected = None,
        }
    }
}

/// The same file at the number at which the courier has it, which nothing of init has: both have what was open when the
/// courier was made, and the courier took a number that was free.
fn numbered(file: OwnedFd, number: RawFd) -> Option<OwnedFd> {
    if file.as_raw_fd() == number {
        return Some(file);
    }
    // SAFETY: takes no pointer. The number belongs to nothing of this process, as said above, and is owned from here on.
    unsafe {
        let is_done = libc::dup3(file.as_raw_fd(), number, libc::O_CLOEXEC) == number;
        is_done.then(|| OwnedFd::from_raw_fd(number))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::io::{Read as _, Seek as _, Write as _};

    use super::*;
    use crate::launch::Launch;
    use crate::machine::{Forward, Policy};

    const POLICY: Policy = Policy {
        forward: Forward::App,
        grace: Some(Duration::from_millis(8_500)),
        linger: Duration::from_secs(1),
    };

    fn app(value: &str) -> Handover {
        let mut launch = Launch::new(OsStr::new("app"), &["-v"]).unwrap();
        launch.push_environment(format!("KEY={value}").into_bytes()).unwrap();
        Handover { launch, policy: POLICY, user: None }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets")]
    fn a_launch_of_many_messages_arrives_whole() {
        let (mut inbox, courier) = pair().unwrap();
        let value = "x".repeat(100_000);
        let sender = std::thread::spawn(move || courier.hand_over(&app(&value), &[], false).unwrap());
        while inbox.socket().is_some() {
            inbox.receive();
        }
        sender.join().unwrap();
        let received = inbox.handover().unwrap();
        assert_eq!(received.policy, POLICY);
        assert_eq!(received.launch.variable("KEY").unwrap().len(), 100_000);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets")]
    fn a_file_arrives_under_the_number_that_it_has_at_the_courier() {
        // No test opens so many files. In a courier, the number is that of the file it sends; here it must be free.
        const NUMBER: RawFd = 940;
        let (mut inbox, courier) = pair().unwrap();
        let mut file = tempfile();
        file.write_all(b"content").unwrap();
        courier.send(FILE, &NUMBER.to_le_bytes(), Some(file.as_fd())).unwrap();
        courier.send(FILE, b"no number", Some(file.as_fd())).unwrap();
        drop((courier, file));
        inbox.receive();
        assert!(inbox.socket().is_none());
        assert_eq!(inbox.files.iter().map(AsRawFd::as_raw_fd).collect::<Vec<_>>(), [NUMBER]);
        let (mut read, mut file) = (String::new(), std::fs::File::from(inbox.files.remove(0)));
        file.rewind().unwrap();
        file.read_to_string(&mut read).unwrap();
        assert_eq!(read, "content");
    }

    fn tempfile() -> std::fs::File {
        let file = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        file.into()
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets")]
    fn a_courier_that_waits_learns_whether_the_app_was_started() {
        for is_started in [true, false] {
            let (mut inbox, courier) = pair().unwrap();
            courier.hand_over(&app("value"), &[], true).unwrap();
            inbox.receive();
            assert!(inbox.courier_waits && inbox.handover().is_some());
            if is_started {
                inbox.confirm();
            }
            drop(inbox);
            assert_eq!(courier.is_started(), is_started);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets")]
    fn missing_lines_that_are_told_twice_are_added_up() {
        let (mut inbox, courier) = pair().unwrap();
        courier.dropped(3).unwrap();
        courier.dropped(4).unwrap();
        courier.send(DROPPED, b"no number", None).unwrap();
        inbox.receive();
        assert_eq!(inbox.dropped, 7);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets")]
    fn a_launch_whose_courier_ends_half_way_is_none() {
        let (mut inbox, courier) = pair().unwrap();
        let bytes = encoding::encode(&app("value"));
        courier.limit(Duration::MAX).unwrap();
        courier.announce(rustix::stdio::stdin(), "cryokey-0-x").unwrap();
        courier.send(LAUNCH, &bytes.len().to_le_bytes(), None).unwrap();
        courier.send(PART, &bytes, None).unwrap();
        drop(courier);
        inbox.receive();
        assert!(inbox.socket().is_none());
        assert!(inbox.handover().is_none());
        assert_eq!(inbox.directory.unwrap().1, "cryokey-0-x");
        assert_eq!(inbox.limit, Some(Duration::from_millis(u64::MAX)));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets")]
    fn messages_that_no_courier_sends_come_to_no_launch() {
        let bytes = encoding::encode(&app("value"));
        let length = bytes.len().to_le_bytes();
        let huge = usize::MAX.to_le_bytes();
        let scripts: [&[(u8, &[u8])]; 6] = [
            &[(LAUNCH, &length), (END, &[])],
            &[(LAUNCH, &huge), (PART, &bytes), (END, &[])],
            &[(PART, &bytes), (END, &[])],
            &[(LAUNCH, &[1]), (PART, &bytes), (END, &[])],
            &[(LAUNCH, &length), (PART, &bytes), (PART, &bytes)],
            &[(LAUNCH, &length), (PART, &bytes), (b'?', &[]), (END, &[])],
        ];
        for script in scripts {
            let (mut inbox, courier) = pair().unwrap();
            for (kind, content) in script {
                courier.send(*kind, content, None).unwrap();
            }
            inbox.receive();
            assert!(inbox.socket().is_some());
            assert!(inbox.handover().is_none(), "{script:?}");
        }
    }
}
