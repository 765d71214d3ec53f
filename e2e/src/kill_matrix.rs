//! The kill matrix: deploys that are struck at a random moment, and what must hold after the next command.
//!
//! Each schedule follows from the seed and its index alone, so a failure can be run again.

mod blow;
mod random;

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use crate::host::Host;
use crate::orchestrator::{Orchestrator, Outcome, Running};
use crate::scene::{DATA, Page, Scene, fetch};
pub use blow::Blow;
use random::Random;

const NODES: u8 = 2;
const SETTLE: Duration = Duration::from_secs(60);

/// Runs some schedules one after the other on one fleet; the first that breaks a promise is the error.
pub fn run(seed: u64, indices: impl Iterator<Item = u64>) -> Result<()> {
    let scene = Scene::enrolled(NODES)?;
    let mut matrix = Matrix { serving: Page::version("1.0.0"), count: 0, window: Duration::ZERO, scene };
    matrix.deploy_undisturbed()?;
    matrix.deploy_undisturbed()?;
    for index in indices {
        let schedule = Schedule::draw(seed, index, matrix.window);
        println!("seed {seed} schedule {index}: {schedule:?}");
        if let Err(error) = matrix.play(&schedule) {
            bail!(
                "{error:?}\n\nagain with: e2e kill-matrix --seed {seed} --only {index}\n{}",
                matrix.evidence()
            );
        }
    }
    Ok(())
}

/// What happens to one deploy.
#[derive(Debug, Clone)]
struct Schedule {
    blow: Blow,
    /// The node that is struck, where it is one.
    node: &'static str,
    after: Duration,
    /// Whether the release that is deployed is a good one.
    is_healthy: bool,
    next: Next,
    ballast: usize,
}

/// What the person does after the blow.
#[derive(Debug, Clone, Copy)]
enum Next {
    SameAgain,
    Serve,
}

impl Schedule {
    fn draw(seed: u64, index: u64, window: Duration) -> Schedule {
        let mut random = Random::new(seed, index);
        Schedule {
            blow: random.pick(&Blow::ALL),
            node: random.pick(&["a", "b"]),
            after: window.mul_f64(1.2 * random.share()),
            is_healthy: random.share() < 0.75,
            next: random.pick(&[Next::SameAgain, Next::Serve]),
            ballast: random.pick(&[0, 64 << 10, 3 << 20]),
        }
    }
}

struct Matrix {
    scene: Scene,
    /// The release that was healthy last.
    serving: Page,
    count: u32,
    /// How long a deploy takes when nothing happens.
    window: Duration,
}

impl Matrix {
    fn play(&mut self, schedule: &Schedule) -> Result<()> {
        let page = self.next_page(schedule);
        page.write(self.scene.fleet.desk())?;
        let host = self.scene.fleet.host(schedule.node).clone();
        let running = self.cli().start("deploy ./page --every-node --timeout 20s");
        std::thread::sleep(schedule.after);
        let outcome = strike(schedule.blow, &host, running)?;
        self.answer_is_honest(&page, &outcome)?;
        match schedule.next {
            Next::SameAgain => self.deploy_again(&page)?,
            Next::Serve => self.serve_until_settled(&page)?,
        }
        self.scene.fleet.hosts().try_for_each(assert_clean)
    }

    fn next_page(&mut self, schedule: &Schedule) -> Page {
        self.count += 1;
        let version = format!("1.{}.0", self.count);
        Page { version, is_healthy: schedule.is_healthy, ballast: schedule.ballast }
    }

    fn deploy_undisturbed(&mut self) -> Result<()> {
        self.count += 1;
        let page = Page::version(&format!("1.{}.0", self.count));
        let outcome = self.scene.deploy_page_everywhere(&page)?;
        ensure!(outcome.code == Some(0), "a deploy without any blow failed\n{outcome}");
        self.window = outcome.took;
        self.assert_serves(&page)?;
        self.serving = page;
        Ok(())
    }

    /// Whoever hears "done" must get what was promised.
    fn answer_is_honest(&self, page: &Page, outcome: &Outcome) -> Result<()> {
        ensure!(outcome.code != Some(2), "the input was good\n{outcome}");
        ensure!(outcome.code != Some(0) || page.is_healthy, "a broken release is called healthy\n{outcome}");
        Ok(())
    }

    fn deploy_again(&mut self, page: &Page) -> Result<()> {
        let outcome = self.cli().run("deploy ./page --every-node --timeout 30s");
        let expected = if page.is_healthy { 0 } else { 1 };
        ensure!(
            outcome.code == Some(expected),
            "exit code {expected} was expected of the next command\n{outcome}"
        );
        if page.is_healthy {
            self.serving = page.clone();
        }
        let serving = self.serving.clone();
        self.assert_serves(&serving)
    }

    /// The daemon brings the fleet to one of the two releases, whichever was recorded.
    fn serve_until_settled(&mut self, page: &Page) -> Result<()> {
        let daemon = self.cli().start("serve");
        let deadline = Instant::now() + SETTLE;
        let mut answer = Ok(());
        for candidate in [&self.serving.clone(), page].into_iter().cycle() {
            answer = self.assert_serves(candidate);
            if answer.is_ok() && self.is_settled() {
                self.serving = candidate.clone();
                break;
            }
            if Instant::now() > deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        daemon.signal(libc::SIGTERM);
        let ended = daemon.wait();
        ensure!(ended.code == Some(0), "the daemon did not end in order\n{ended}");
        answer
    }

    fn is_settled(&self) -> bool {
        let state = self.status()["state"].take();
        state == "healthy" || state == "rolled_back"
    }

    /// All nodes run this release, and it answers.
    fn assert_serves(&self, page: &Page) -> Result<()> {
        let status = self.status();
        let instances = status["instances"].as_array().cloned().unwrap_or_default();
        ensure!(instances.len() == usize::from(NODES), "{NODES} instances were expected\n{status:#}");
        for instance in instances {
            let url = instance["url"].as_str().unwrap_or_default();
            let answer = fetch(url).unwrap_or_default();
            ensure!(answer == page.text(), "{url} answers {answer:?}, not {:?}\n{status:#}", page.text());
            ensure!(instance["version"] == page.version.as_str(), "status says otherwise\n{status:#}");
        }
        Ok(())
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.cli().run("status page -o json").stdout)
            .map_or(Value::Null, |it: Value| it[0].clone())
    }

    fn cli(&self) -> &Orchestrator {
        &self.scene.orchestrator
    }

    /// What helps to understand a failure.
    fn evidence(&self) -> String {
        let script = format!("ps -eo pid,ppid,args; cd {DATA}; find . -newer bin; tail -n 50 logs/*");
        let of = |host: &Host| {
            format!("=== {}\n{}", host.name(), host.run(&script).unwrap_or_else(|e| e.to_string()))
        };
        self.scene.fleet.hosts().map(of).collect()
    }
}

fn strike(blow: Blow, host: &Host, running: Running) -> Result<Outcome> {
    if blow == Blow::KillCoordinator {
        return Ok(running.kill());
    }
    blow.strike(host)?;
    let outcome = running.wait();
    blow.repair(host)?;
    Ok(outcome)
}

/// Nothing runs twice, and nothing half-done lies around.
fn assert_clean(host: &Host) -> Result<()> {
    let processes = host.processes()?;
    let servers = processes.iter().filter(|(_, command)| command.starts_with("busybox httpd")).count();
    ensure!(servers == 1, "{servers} copies run on {}: {processes:#?}", host.name());
    let found = host.run(&format!(
        "find {DATA} \\( -name '.incoming*' -o -name '*.tmp' -o -name '*.new' -o -name '*.partial' \\); ls -A /tmp"
    ))?;
    ensure!(found.is_empty(), "temporary files on {}:\n{found}", host.name());
    let releases: u32 = host.run(&format!("ls {DATA}/releases | wc -l"))?.trim().parse()?;
    ensure!(releases <= 3, "{releases} releases are kept on {}", host.name());
    Ok(())
}
