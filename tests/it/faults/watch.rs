//! Watches: none of their troubles is ever a verdict, and nothing that they missed stays missed.

use jiff::SignedDuration;
use local_cluster::{After, Interruption, LocalCluster, Resource, Script};
use runner::outcome::Reason;
use serde_json::{Value, json};
use tests::fault;
use tests::faults::{Expected, create, hours, lines, minutes, seconds};

fn prints_after(time: std::time::Duration) -> Script {
    Script::new().print(lines([1])).sleep(time).print(lines([2]))
}

/// Both watches, the first time, end so.
fn interrupt_watches(cluster: &LocalCluster, after: After, how: Interruption) {
    for resource in ["jobs", "pods"] {
        cluster.faults().on("watch", resource, "*").nth(1).interrupt(after, how);
    }
}

#[test]
fn f13_a_version_that_is_gone_when_a_watch_is_opened_leads_to_a_list() {
    fault!()
        .script("a", prints_after(minutes(5)))
        .cluster(|cluster| {
            cluster.faults().on("watch", "jobs", "*").nth(2).gone();
            cluster.faults().on("watch", "pods", "*").nth(2).gone();
        })
        .run()
        .expect(
            Expected::succeeded()
                .within(minutes(6))
                .lines(2)
                .more("list jobs", 1)
                .more("watch jobs", 1)
                .more("list pods", 1)
                .more("watch pods", 1),
        );
}

#[test]
fn f13_a_version_that_is_gone_in_the_middle_of_a_watch_leads_to_a_list() {
    fault!()
        .script("a", prints_after(seconds(30)))
        .cluster(|cluster| cluster.faults().on("send", "pods", "a-*").nth(3).gone())
        .run()
        .expect(Expected::succeeded().lines(2).more("list pods", 1).more("watch pods", 1));
}

#[test]
fn f13_a_list_that_expires_in_its_middle_is_begun_anew() {
    let other = |number: usize| {
        json!({"metadata": {"name": format!("other-{number:03}"), "labels": {"runner/run-id": "faults"}},
               "spec": {"schedulingGates": [{"name": "example.com/wait"}], "restartPolicy": "Never",
                        "containers": [{"name": "c", "image": "x"}]}})
    };
    fault!()
        .script("a", prints_after(minutes(1)))
        .cluster(|cluster| {
            cluster.faults().on("watch", "pods", "*").nth(1).interrupt(After::Time(seconds(30)), Interruption::Reset);
            cluster.faults().on("continue", "pods", "*").nth(1).gone();
        })
        .meanwhile(move |stage| async move {
            tokio::time::sleep(seconds(10)).await;
            for number in 0..501 {
                create(stage.cluster(), "/api/v1/namespaces/default/pods", &other(number)).await;
            }
            tokio::time::sleep(seconds(40)).await;
            stage.cluster().delete(Resource::Pods, "default", "other-*").unwrap();
        })
        .run()
        // The list of the two pieces, one of which expired, and the two pieces of the next; the 501 pods were created
        // by requests, too.
        .expect(
            Expected::succeeded()
                .within(minutes(2))
                .lines(2)
                .more("list pods", 4)
                .more("watch pods", 1)
                .more("create pods", 501),
        );
}

#[test]
fn f14_watches_that_end_every_minute_for_six_hours_are_no_time_limit() {
    let script = (1..=90).fold(Script::new(), |script, n| script.print(lines([n])).sleep(minutes(4)));
    fault!()
        .script("a", script)
        .cluster(|cluster| {
            cluster.faults().on("watch", "*", "*").interrupt(After::Time(minutes(1)), Interruption::Eof);
        })
        .run()
        // 360 minutes instead of 74 times 290 seconds.
        .expect(
            Expected::succeeded().within(hours(7)).lines(90).more("watch jobs", 360 - 74).more("watch pods", 360 - 74),
        );
}

#[test]
fn f15_an_end_that_came_while_the_watches_were_half_open_is_found() {
    fault!()
        .script("a", prints_after(minutes(1)))
        .cluster(|cluster| interrupt_watches(cluster, After::Time(seconds(10)), Interruption::Stall))
        .run()
        // Nothing came on the watches for nearly five minutes. Meanwhile the log ends, and is asked for again.
        .expect(
            Expected::succeeded()
                .within(seconds(312))
                .lines(2)
                .more("list jobs", 1)
                .more("list pods", 1)
                .more("get pods/log", 28),
        );
}

#[test]
fn f18_an_error_in_a_watch_leads_to_a_list() {
    fault!()
        .script("a", prints_after(seconds(30)))
        .cluster(|cluster| cluster.faults().on("send", "pods", "a-*").nth(3).error(500, "etcdserver: leader changed"))
        .run()
        .expect(Expected::succeeded().lines(2).more("list pods", 1).more("watch pods", 1));
}

#[test]
fn f18_an_event_of_an_unknown_type_leads_to_a_list() {
    fault!()
        .script("a", prints_after(seconds(30)))
        .cluster(|cluster| cluster.faults().on("send", "pods", "a-*").nth(3).retype("RENAMED"))
        .run()
        .expect(Expected::succeeded().lines(2).more("list pods", 1).more("watch pods", 1));
}

#[test]
fn f18_bookmarks_alone_keep_a_quiet_watch_fresh() {
    fault!()
        .history(20)
        .script("a", (1..=15).fold(Script::new(), |script, n| script.print(lines([n])).sleep(minutes(4))))
        .meanwhile(|stage| async move {
            // Others change so much that the version of the last event of ours is soon forgotten.
            for _ in 0..360 {
                tokio::time::sleep(seconds(10)).await;
                let _ = stage.cluster().warn(Resource::Jobs, "default", "a-*", "Busy", "others are busy");
            }
        })
        .run()
        .expect(Expected::succeeded().within(minutes(61)).lines(15));
}

#[test]
fn f19_a_list_of_a_server_that_lags_behind_takes_no_end_back() {
    fault!()
        .script("a", prints_after(seconds(5)))
        .cluster(|cluster| {
            let faults = cluster.faults();
            faults.on("conclude", "jobs", "a-*").hold(seconds(30));
            faults.on("watch", "pods", "*").nth(1).interrupt(After::Time(seconds(10)), Interruption::Reset);
        })
        .meanwhile(|stage| async move {
            tokio::time::sleep(seconds(3)).await;
            let while_it_ran = stage.cluster().version();
            stage.cluster().faults().on("list", "pods", "*").rewind(while_it_ran);
        })
        .run()
        .expect(Expected::succeeded().lines(2).more("list pods", 1).more("watch pods", 1));
}

#[test]
fn f19_a_list_from_before_the_pod_takes_no_end_back() {
    fault!()
        .script("a", Script::new().print(lines(1..=2)).sleep(seconds(5)).exit(3))
        .cluster(|cluster| {
            let faults = cluster.faults();
            faults.on("conclude", "jobs", "a-*").hold(seconds(30));
            faults.on("watch", "*", "*").nth(1).interrupt(After::Time(seconds(10)), Interruption::Reset);
            faults.on("watch", "*", "*").nth(2).interrupt(After::Time(seconds(10)), Interruption::Reset);
            faults.on("list", "*", "*").from(3).rewind(cluster.version());
        })
        .run()
        .expect(
            Expected::failed(3, Reason::Exit)
                .lines(2)
                .more("list pods", 1)
                .more("watch pods", 1)
                .more("list jobs", 1)
                .more("watch jobs", 1),
        );
}

#[test]
fn f19_events_that_come_twice_or_in_another_order_change_nothing() {
    fault!()
        .script("a", prints_after(seconds(5)))
        .cluster(|cluster| {
            cluster.faults().on("send", "*", "*").repeat();
            cluster.faults().on("send", "pods", "*").nth(2).swap();
            cluster.faults().on("send", "pods", "*").nth(4).swap();
        })
        .run()
        .expect(Expected::succeeded().lines(2));
}

#[test]
fn f20_a_job_that_fails_ends_the_wait() {
    fault!()
        .script("a", prints_after(seconds(5)).exit(3))
        .run()
        .expect(Expected::failed(3, Reason::Exit).within(seconds(6)).lines(2));
}

#[test]
fn f20_a_pod_that_is_only_ever_seen_finished_is_not_missed() {
    let has_begun = |pod: &Value| pod["status"]["phase"] != "Succeeded";
    fault!()
        .script("a", Script::new().print(lines([1])))
        .cluster(move |cluster| cluster.faults().on("send", "pods", "a-*").when(has_begun).lose())
        .run()
        .expect(Expected::succeeded().within(seconds(1)).lines(1).more("get pods/log", -1));
}

#[test]
fn f20_a_job_that_is_deleted_before_it_has_a_pod_is_not_waited_for() {
    fault!()
        .cluster(|cluster| cluster.faults().on("create", "pods", "a-*").no_pods(None))
        .meanwhile(|stage| async move {
            tokio::time::sleep(seconds(5)).await;
            stage.cluster().delete(Resource::Jobs, "default", "a-*").unwrap();
        })
        .run()
        // Of a failure without a code the events are told.
        .expect(
            Expected::lost()
                .within(seconds(6))
                .more("delete jobs", -1)
                .more("get pods/log", -2)
                .more("list events", 1)
                // A dry run, which tells whether the namespace is there.
                .more("create jobs", 1),
        );
}

#[test]
fn f20_a_job_that_is_deleted_while_it_runs_is_not_waited_for() {
    fault!()
        .script("a", Script::new().print(lines([1])).forever())
        .meanwhile(|stage| async move {
            tokio::time::sleep(seconds(5)).await;
            stage.cluster().delete(Resource::Jobs, "default", "a-*").unwrap();
        })
        .run()
        .expect(
            Expected::lost()
                .within(seconds(45))
                .lines(1)
                .more("delete jobs", -1)
                .more("list events", 2)
                .more("create jobs", 1),
        );
}

#[test]
fn f56_a_local_clock_that_is_set_back_shows_no_negative_age() {
    fault!()
        .script("a", slow_start())
        .cluster(|cluster| cluster.clock().offset_node(SignedDuration::from_mins(5)))
        .meanwhile(|stage| async move {
            tokio::time::sleep(seconds(30)).await;
            stage.offset_local_clock(SignedDuration::from_mins(-10));
        })
        .run()
        .expect(Expected::succeeded().within(minutes(2)).lines(1));
}

#[test]
fn f56_a_local_clock_that_is_set_forward_ends_no_wait() {
    fault!()
        .script("a", slow_start())
        .cluster(|cluster| cluster.clock().offset_node(SignedDuration::from_mins(5)))
        .meanwhile(|stage| async move {
            tokio::time::sleep(seconds(30)).await;
            stage.offset_local_clock(SignedDuration::from_mins(10));
        })
        .run()
        // It looks like a sleep of the machine, after which connections may be dead.
        .expect(
            Expected::succeeded()
                .within(minutes(2))
                .lines(1)
                .more("list jobs", 1)
                .more("list pods", 1)
                .more("watch jobs", 1)
                .more("watch pods", 1),
        );
}

/// A hundred seconds of trouble with the image, in the middle of which somebody sets the clock.
fn slow_start() -> Script {
    Script::new()
        .waiting("ErrImagePull", "no such host", Some(seconds(50)))
        .waiting("ErrImagePull", "connection refused", Some(seconds(50)))
        .print(lines([1]))
        .sleep(seconds(5))
}

#[test]
fn f67_after_a_sleep_of_the_machine_the_end_is_found_at_once() {
    fault!()
        .script("a", prints_after(seconds(61)))
        .cluster(|cluster| {
            // Sockets that are dead and do not know it.
            interrupt_watches(cluster, After::Time(minutes(1)), Interruption::Stall);
            let log = cluster.faults().on("get", "pods/log", "a-*").nth(1);
            log.interrupt(After::Time(minutes(1)), Interruption::Stall);
        })
        .meanwhile(|stage| async move {
            tokio::time::sleep(seconds(62)).await;
            stage.offset_local_clock(SignedDuration::from_hours(1));
        })
        .run()
        .expect(
            Expected::succeeded()
                .within(seconds(70))
                .lines(2)
                .more("list jobs", 1)
                .more("list pods", 1)
                .more("watch jobs", 1)
                .more("watch pods", 1),
        );
}
