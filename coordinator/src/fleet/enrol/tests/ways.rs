//! Nodes whose port does not lead to them.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_cannot_be_reached_is_tunnelled() {
    let machine = Machine(Sshd::secluded_machine());
    let desk = Desk::new(&machine.0).await;
    let (record, _) = add(&desk.enrolment, &machine.request("attic")).await.expect("added");
    let agent = desk.enrolment.agents.dial(&record).await.expect("dialled");
    assert_eq!(agent.observe().await.expect("answers").node, "attic");
    assert!(agent.is_tunnelled());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_wrongly_at_the_address_of_a_node_is_passed_by() {
    let (machine, other) = (Machine::new(), Machine::new());
    let desk = Desk::new(&machine.0).await;
    let (record, _) = add(&desk.enrolment, &machine.request("attic")).await.expect("added");
    let elsewhere = Desk::new(&other.0).await;
    let (stranger, _) = add(&elsewhere.enrolment, &other.request("attic")).await.expect("added");
    // Nobody ever answers there.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    for address in [stranger.address, silent.local_addr().expect("bound").to_string()] {
        let misled = NodeRecord { address, ..record.clone() };
        let kept = authority::edit_record(&*desk.store, &record.name, |kept| *kept = misled.clone()).await;
        kept.expect("edited");
        let agent = desk.again(&machine.0, 0).agents.dial(&misled).await.expect("reached");
        assert!(agent.is_tunnelled(), "{misled:?}");
        assert_eq!(agent.observe().await.expect("answers").node, "attic");
    }
}
