//! Updates where the new release starts beside the former one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};

use e2e::scene::{Page, Scene, fetch};

use crate::containers::url;
use crate::spine::{instances, status};

#[test]
fn what_runs_serves_until_the_new_release_is_healthy_and_on_where_it_is_not() {
    let scene = Scene::enrolled(1).unwrap();
    let (cli, a) = (&scene.orchestrator, scene.fleet.host("a"));
    publish(&scene, &Page::version("1.0.0"));
    cli.ok("deploy ./page");
    let first = url(&status(cli, "page"));
    assert_eq!(fetch(&first).as_deref(), Some("page 1.0.0"));

    publish(&scene, &Page::broken("1.1.0"));
    let visitor = Visitor::of(&first);
    cli.run("deploy ./page").exits(1).says("503");
    assert_eq!(visitor.missed(), 0, "the former release was not touched");
    let deployment = status(cli, "page");
    assert_eq!((&deployment["state"], url(&deployment)), (&"rolled_back".into(), first.clone()));

    publish(&scene, &Page::version("1.2.0"));
    cli.ok("deploy ./page").says_nothing_of("stops first");
    let deployment = status(cli, "page");
    assert_eq!((&deployment["state"], &deployment["version"]), (&"healthy".into(), &"1.2.0".into()));
    let second = url(&deployment);
    assert_ne!(second, first, "it has a port of its own");
    assert_eq!(fetch(&second).as_deref(), Some("page 1.2.0"));
    assert_eq!(instances(&deployment).len(), 1);

    cli.ok("rollback page");
    assert_eq!(url(&status(cli, "page")), first, "each of the two places keeps its port");
    assert_eq!(fetch(&first).as_deref(), Some("page 1.0.0"));
    cli.ok("remove page");
    assert_eq!(a.run("pidof busybox || true").unwrap().trim(), "");
}

#[test]
fn where_it_cannot_be_deploy_says_so_before_anything_is_touched() {
    let scene = Scene::enrolled(1).unwrap();
    let cli = &scene.orchestrator;
    publish(&scene, &Page::version("1.0.0"));
    cli.ok("deploy ./page --set port=8099").says_nothing_of("stops first");
    publish(&scene, &Page::version("1.1.0"));
    let words = "cannot start its new release first: its port web is 8099, not auto";
    cli.ok("deploy ./page --dry-run").says(words);
    assert_eq!(status(cli, "page")["version"], "1.0.0");
    cli.ok("deploy ./page").says(words);
    assert_eq!(fetch(&url(&status(cli, "page"))).as_deref(), Some("page 1.1.0"));
    cli.ok("rollback page").says(words);
}

/// Writes `./page` as a module that starts first.
fn publish(scene: &Scene, page: &Page) {
    let desk = scene.fleet.desk();
    page.write(desk).unwrap();
    let module = desk.read("/root/page/MODULE.yaml").unwrap();
    let module = module.replace("update: {", "update: {strategy: start-first, ");
    desk.write("/root/page/MODULE.yaml", &module).unwrap();
}

/// Fetches a page again and again, and counts how often nobody answered.
struct Visitor {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<(usize, usize)>,
}

impl Visitor {
    fn of(url: &str) -> Self {
        let (url, is_over) = (url.to_owned(), Arc::new(AtomicBool::new(false)));
        let over = Arc::clone(&is_over);
        let thread = spawn(move || {
            let (mut visits, mut missed) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                visits += 1;
                missed += usize::from(fetch(&url).is_none());
            }
            (visits, missed)
        });
        Self { is_over, thread }
    }

    fn missed(self) -> usize {
        self.is_over.store(true, Ordering::Relaxed);
        let (visits, missed) = self.thread.join().expect("it only counts");
        assert!(visits > 10, "{visits} visits tell nothing");
        missed
    }
}
