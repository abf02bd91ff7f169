//! Secrets over a network that takes 20 ms there and back, from a server that takes no time itself: what is measured is
//! how often a client waits, and what it does meanwhile. The floor is a client in this program that knows all requests.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::{self, Spread};
use crate::secrets;
use crate::subject::Subject;

/// There and back.
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// cryokey's own limit.
const AT_ONCE: usize = 32;

const RUNS: usize = 21;

const MANY: usize = 100;

/// One case: what cryokey reads, the requests of the floor, and what the figure must be.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    variables: Vec<(&'static str, String)>,
    manifest: String,
    /// How many the app gets.
    secrets: usize,
    /// How many requests wait for each other: each of these many at once.
    rounds: &'static [usize],
    pub(crate) at_most: Limit,
}

/// What is demanded.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// So many times the floor.
    Ratio(f64),
    /// So many milliseconds.
    Milliseconds(f64),
}

/// What came of it.
pub(crate) struct Measured {
    pub(crate) ours: Spread,
    pub(crate) floor: Spread,
    /// In bytes.
    pub(crate) memory: u64,
}

/// The cases, with a server at this address.
pub(crate) fn cases(server: SocketAddr) -> Vec<Case> {
    let vault = |path: &str| {
        vec![
            ("EXTERNAL_SECRET_PROVIDER", "vault".to_owned()),
            ("VAULT_ADDR", format!("http://{server}")),
            ("VAULT_TOKEN", "token".to_owned()),
            ("VAULT_SECRET_PATH", path.to_owned()),
        ]
    };
    let aws = |provider: &str| {
        vec![
            ("EXTERNAL_SECRET_PROVIDER", provider.to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://{server}")),
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_SECRET_PREFIX", "app/".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ]
    };
    let paths: Vec<String> = (0..MANY).map(|number| format!("secret/data/s{number}")).collect();
    let mut references = String::new();
    for number in 0..MANY {
        // A `String` takes everything.
        let _ = write!(references, "[secret.S{number}]\nrequired = true\nfrom = [\"aws:app/S{number}\"]\n");
    }
    let case = |name, variables, manifest, secrets, rounds, at_most| Case {
        name,
        variables,
        manifest,
        secrets,
        rounds,
        at_most,
    };
    let none = String::new;
    vec![
        case("Vault, one path with 16 keys", vault("secret/data/app"), none(), 16, &[1], Limit::Ratio(1.15)),
        case("Vault, 100 paths", vault(&paths.join(",")), none(), MANY, &[MANY], Limit::Ratio(1.2)),
        case(
            "AWS, 100 secrets below a prefix",
            aws("aws"),
            none(),
            MANY,
            &[1, 5],
            Limit::Milliseconds(140.0),
        ),
        case("AWS, 100 secrets by references", aws(""), references, MANY, &[5], Limit::Milliseconds(75.0)),
    ]
}

/// Runs cryokey and the floor in turn.
pub(crate) fn measure(
    case: &Case,
    ours: &Path,
    app: &Path,
    server: SocketAddr,
    directory: &Path,
) -> Result<Measured, String> {
    let manifest = directory.join(case.name).with_extension("toml");
    secrets::write(&manifest, &format!("version = 1\n{}", case.manifest))?;
    let subject = Subject::new(case.name, ours, directory).args(&["run", "--"]);
    let subject = subject.env("CRYOKEY_MANIFEST", manifest);
    let subject = case.variables.iter().fold(subject, |subject, (name, value)| subject.env(name, value));
    case.must_deliver(&subject)?;
    let (mut times, mut floors, mut memory) = (Vec::new(), Vec::new(), 0);
    for _ in 0..RUNS {
        let run = measure::run(&subject, app)?;
        times.push(run.time);
        memory = memory.max(run.memory);
        floors.push(floor(case.rounds, server).map_err(|error| error.to_string())?);
    }
    Ok(Measured { ours: Spread::of(times), floor: Spread::of(floors), memory })
}

impl Case {
    /// A start that is fast because it delivers nothing must not enter the table.
    fn must_deliver(&self, subject: &Subject) -> Result<(), String> {
        let mut command = subject.command(Path::new("/usr/bin/env"))?;
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
        let output = output.map_err(|error| format!("{}: {error}", self.name))?;
        let seen = String::from_utf8_lossy(&output.stdout);
        let count = seen.lines().filter(|line| line.starts_with("KEY_") || line.starts_with('S')).count();
        if count == self.secrets {
            return Ok(());
        }
        Err(format!("{} delivered {count}: {}", self.name, String::from_utf8_lossy(&output.stderr)))
    }
}

/// All requests of a round at once, on connections that are kept for the next round; in milliseconds.
fn floor(rounds: &[usize], server: SocketAddr) -> io::Result<f64> {
    let start = Instant::now();
    let kept: Mutex<Vec<TcpStream>> = Mutex::default();
    for count in rounds {
        let left = Mutex::new(*count);
        let work = || -> io::Result<()> {
            let next = || {
                left.lock()
                    .ok()
                    .is_some_and(|mut left| left.checked_sub(1).map(|less| *left = less).is_some())
            };
            if !next() {
                return Ok(());
            }
            let taken = kept.lock().ok().and_then(|mut kept| kept.pop());
            let mut stream = taken.map_or_else(|| TcpStream::connect(server), Ok)?;
            stream.set_nodelay(true)?;
            loop {
                ask(&mut stream)?;
                if !next() {
                    break;
                }
            }
            kept.lock().map(|mut kept| kept.push(stream)).map_err(|_| io::Error::other("a thread panicked"))
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..AT_ONCE.min(*count)).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(io::Error::other("panic"))))
        })?;
    }
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}

fn ask(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"GET /v1/secret/data/s0 HTTP/1.1\r\nHost: a\r\n\r\n")?;
    let mut reader = BufReader::new(stream);
    let length = head(&mut reader)?.1;
    io::copy(&mut reader.take(length), &mut io::sink()).map(drop)
}

/// Answers everybody until the program ends.
pub(crate) fn serve() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Who leaves has what it wanted.
            thread::spawn(move || drop(answer_all(&stream)));
        }
    });
    Ok(address)
}

/// The first answer takes a second round trip, that of the connection.
fn answer_all(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut wait = 2 * ROUND_TRIP;
    loop {
        let (lines, length) = head(&mut reader)?;
        let mut body = String::new();
        reader.by_ref().take(length).read_to_string(&mut body)?;
        thread::sleep(wait);
        wait = ROUND_TRIP;
        let reply = reply(&lines, &body);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", reply.len());
        (&*stream).write_all((head + &reply).as_bytes())?;
    }
}

/// The lines of a head, and how long the body is.
fn head(reader: &mut impl io::BufRead) -> io::Result<(Vec<String>, u64)> {
    let lines: Vec<String> = reader
        .by_ref()
        .lines()
        .take_while(|line| line.as_ref().map_or(true, |line| !line.is_empty()))
        .collect::<Result<_, _>>()?;
    if lines.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Ok((lines, length.unwrap_or(0)))
}

fn reply(lines: &[String], body: &str) -> String {
    let has = |text: &str| lines.iter().any(|line| line.contains(text));
    let value = |name: &str| {
        format!(
            r#"{{"ARN":"arn:{name}","Name":"{name}","VersionId":"v","SecretString":"{name}","CreatedDate":1}}"#
        )
    };
    let joined = |values: Vec<String>| values.join(",");
    if has("secretsmanager.ListSecrets") {
        let names = (0..MANY).map(|number| format!(r#"{{"Name":"app/S{number}"}}"#)).collect();
        return format!(r#"{{"SecretList":[{}]}}"#, joined(names));
    }
    if has("secretsmanager.BatchGetSecretValue") {
        let names = body.split('"').filter(|word| word.starts_with("app/")).map(value).collect();
        return format!(r#"{{"SecretValues":[{}],"Errors":[]}}"#, joined(names));
    }
    let keys = if has("/data/app ") { 16 } else { 1 };
    let name = lines.first().and_then(|line| line.split(' ').nth(1)?.rsplit('/').next()).unwrap_or_default();
    let fields = (0..keys).map(|number| format!(r#""KEY_{name}_{number}":"value""#)).collect();
    let metadata =
        r#"{"version":1,"created_time":"2026-01-01T00:00:00Z","deletion_time":"","destroyed":false}"#;
    format!(r#"{{"data":{{"data":{{{}}},"metadata":{metadata}}}}}"#, joined(fields))
}
