//! Running a program as a step of a plan would: to see what a sandbox stops, and what it costs.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use plan::policy::Policy;
use plan::sandbox::{Need, Network, Probed, Sandbox, Tier};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::CliError;
use crate::clock;
use crate::config::{DataDir, Try};
use crate::runtime::reaper;
use crate::runtime::spawn::{self, Launch};
use crate::sandbox::egress::Egress;
use crate::sandbox::{Caps, Confined, Ended, Over, SandboxError, Sandboxes};

/// More than this per start, and a plan of many small steps feels it.
const BOUND: Duration = Duration::from_millis(15);
const BLOCK: usize = 16 << 10;

/// Ends with the program's own exit code; without a program it lists what is offered.
///
/// # Errors
/// When the sandbox is not offered, or the program could not be started in it.
pub fn sandbox(data: &DataDir, wanted: &Try) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| CliError::System { action: "start", cause })?;
    runtime.block_on(async {
        reaper::start().map_err(|cause| CliError::System { action: "handle signals", cause })?;
        // Not the agent's token: what it runs is not to be taken for something left behind.
        let sandboxes = Sandboxes::new(data.0.clone(), format!("try{:016x}", clock::noise()));
        let begin = Instant::now();
        sandboxes.probe().await;
        match (&wanted.argv[..], wanted.rounds) {
            ([], _) => list(&sandboxes, begin.elapsed()).await,
            (_, 0) => run(&sandboxes, wanted).await,
            (_, rounds) => measure(&sandboxes, wanted, rounds).await,
        }
    })
}

async fn list(sandboxes: &Sandboxes, took: Duration) -> Result<ExitCode, CliError> {
    let offer = sandboxes.offer().await;
    for (part, probed) in &offer.parts {
        let found = match probed {
            Probed::Works => "works".to_owned(),
            Probed::Missing { why } => format!("missing: {why}"),
        };
        super::say(&format!("{:<18} {found}", part.name()))?;
    }
    let best = offer.best().map_or("none", Tier::name);
    super::say(&format!("{:<18} {best}", "best"))?;
    eprintln!("probed in {:.0} ms", took.as_secs_f64() * 1000.0);
    Ok(ExitCode::SUCCESS)
}

async fn run(sandboxes: &Sandboxes, wanted: &Try) -> Result<ExitCode, CliError> {
    let confined = confined(sandboxes, wanted).await?;
    let mut child = sandboxes.spawn(&confined).await?;
    let output = child.take_output();
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|cause| CliError::System { action: "handle signals", cause })?;
    let mut terminate = signal(SignalKind::terminate())
        .map_err(|cause| CliError::System { action: "handle signals", cause })?;
    let copied = async {
        if let Some((out, err)) = output {
            tokio::join!(copy(out, io::stdout()), copy(err, io::stderr()));
        }
    };
    let both = async { tokio::join!(copied, child.wait()).1 };
    let ended = tokio::select! {
        ended = both => Some(ended),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => child.kill_tree().await,
    };
    Ok(tell(ended))
}

fn tell(ended: Ended) -> ExitCode {
    match ended.over {
        Some(Over::Memory) => eprintln!("killed: it used more memory than allowed"),
        Some(Over::Scratch) => eprintln!("killed: its scratch folder grew larger than allowed"),
        None => {}
    }
    if ended.is_stuck {
        eprintln!("some process of it hangs in the kernel and could not be killed");
    }
    ExitCode::from(u8::try_from(ended.exit.shell_code()).unwrap_or(255))
}

async fn copy(mut from: pipe::Receiver, mut to: impl Write) {
    let mut block = vec![0; BLOCK];
    while let Ok(count @ 1..) = from.read(&mut block).await {
        if to.write_all(&block[..count]).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

/// How much longer a program takes in the sandbox than with nothing but fork and exec.
async fn measure(sandboxes: &Sandboxes, wanted: &Try, rounds: usize) -> Result<ExitCode, CliError> {
    let confined = confined(sandboxes, wanted).await?;
    let (mut plain, mut inside) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let begin = Instant::now();
        plainly(&confined.argv).await?;
        plain.push(begin.elapsed());
        let begin = Instant::now();
        sandboxes.spawn(&confined).await?.wait().await;
        inside.push(begin.elapsed());
    }
    let (plain, inside) = (sorted(plain), sorted(inside));
    let over = |share| at(&inside, share).saturating_sub(at(&plain, 50));
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    super::say(&format!(
        "{} {:?}: plain p50 {:.2} ms, sandboxed p50 {:.2} ms, overhead p50 {:.2} ms, p95 {:.2} ms (at most {:.0})",
        confined.sandbox.tier,
        confined.sandbox.network,
        ms(at(&plain, 50)),
        ms(at(&inside, 50)),
        ms(over(50)),
        ms(over(95)),
        ms(BOUND)
    ))?;
    Ok(ExitCode::from(u8::from(over(95) >= BOUND)))
}

async fn plainly(argv: &[String]) -> Result<(), SandboxError> {
    let null = || std::fs::OpenOptions::new().write(true).open("/dev/null").map(Into::into);
    let system = |cause| SandboxError::System { action: "open /dev/null", cause };
    let launch = Launch {
        argv: argv.to_vec(),
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        cwd: "/".into(),
        stdout: null().map_err(system)?,
        stderr: null().map_err(system)?,
        account: None,
        limits: Vec::new(),
        may_gain_privileges: true,
    };
    let child = spawn::launch(&launch, |_| Ok(()))?;
    let _ = child.exit.await;
    Ok(())
}

fn sorted(mut times: Vec<Duration>) -> Vec<Duration> {
    times.sort_unstable();
    times
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
}

/// Nothing is private that is not named.
fn egress(wanted: &Try) -> Egress {
    let mut policy = Policy::closed();
    policy.private = wanted.private.iter().cloned().collect();
    Egress { policy, domains: wanted.domains.clone() }
}

async fn confined(sandboxes: &Sandboxes, wanted: &Try) -> Result<Confined, SandboxError> {
    let tier = wanted.tier.unwrap_or(Tier::T1);
    let decided = sandboxes.offer().await.decide(Need { tier, is_offline: wanted.domains.is_empty() })?;
    Ok(Confined {
        argv: wanted.argv.clone(),
        env: wanted.env.iter().cloned().collect(),
        stdin: Vec::new(),
        dir: None,
        writable: wanted.writable.clone(),
        // The very rung, as this is for looking at it.
        sandbox: Sandbox { tier, network: decided.network },
        egress: (decided.network == Network::Named).then(|| egress(wanted)),
        caps: Caps { memory_bytes: wanted.memory.unwrap_or(Caps::default().memory_bytes), ..Caps::default() },
    })
}
