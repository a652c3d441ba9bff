use std::collections::HashMap;
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { entries: 10, bytes: 1000 };

fn entry(group: Option<&str>) -> Entry<'_> {
    Entry { group, bytes: 10 }
}

fn fault(permanent: bool) -> EntryFault {
    EntryFault { code: "Invented".to_owned(), message: String::new(), permanent }
}

#[test]
fn few_entries_need_one_request() {
    let entries: Vec<_> = (0..10).map(|n| entry([None, Some("a"), Some("b")][n % 3])).collect();
    assert_eq!(plan(&entries, &LIMITS), vec![vec![(0..10).collect::<Vec<_>>()]]);
}

#[test]
fn a_large_group_is_one_lane() {
    let entries: Vec<_> = (0..25).map(|_| entry(Some("a"))).collect();
    let lanes = plan(&entries, &LIMITS);
    assert_eq!(lanes.len(), 1);
    assert_eq!(lanes[0].iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
}

#[test]
fn entries_without_groups_fill_their_requests() {
    let entries: Vec<_> = (0..95).map(|_| entry(None)).collect();
    assert_eq!(plan(&entries, &LIMITS).len(), 10);
}

proptest! {
    #[test]
    fn a_plan_is_complete_within_the_limits_and_in_order(
        shape in prop::collection::vec((prop::option::of(0_u8..6), 1_usize..=1000), 0..120)
    ) {
        let names: Vec<String> = (0..6).map(|n| format!("group-{n}")).collect();
        let entries: Vec<_> = shape
            .iter()
            .map(|(group, bytes)| Entry { group: group.map(|n| names[usize::from(n)].as_str()), bytes: *bytes })
            .collect();
        let lanes = plan(&entries, &LIMITS);

        let mut seen: Vec<usize> = lanes.iter().flatten().flatten().copied().collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..entries.len()).collect::<Vec<_>>());
        let mut lane_of = HashMap::new();
        for (number, lane) in lanes.iter().enumerate() {
            let mut last = HashMap::new();
            for chunk in lane {
                prop_assert!(!chunk.is_empty() && chunk.len() <= LIMITS.entries);
                prop_assert!(chunk.iter().map(|&i| entries[i].bytes).sum::<usize>() <= LIMITS.bytes);
                for &index in chunk {
                    let Some(group) = entries[index].group else { continue };
                    prop_assert_eq!(*lane_of.entry(group).or_insert(number), number);
                    let before = last.insert(group, index);
                    prop_assert!(before.is_none_or(|before| before < index));
                }
            }
        }
    }
}

/// Runs entries through `answer`, which sees (index, how often it was sent before), and returns the order of arrival.
async fn run(
    entries: &[Entry<'_>],
    answer: impl Fn(usize, u32) -> Result<(), EntryFault>,
) -> (Vec<Result<(), Failure>>, Vec<usize>) {
    let arrived = Mutex::new(Vec::new());
    let tries: Mutex<HashMap<usize, u32>> = Mutex::default();
    let outcomes = deliver(entries, plan(entries, &LIMITS), async |indices: Vec<usize>| {
        let answers = indices.iter().map(|&index| {
            let mut tries = tries.lock().expect("no test panicked while holding it");
            let before = tries.entry(index).or_default();
            *before += 1;
            let answer = answer(index, *before - 1);
            if answer.is_ok() {
                arrived.lock().expect("no test panicked while holding it").push(index);
            }
            answer
        });
        Ok(answers.collect())
    })
    .await;
    (outcomes, arrived.into_inner().expect("no test panicked while holding it"))
}

#[tokio::test(start_paused = true)]
async fn a_passing_fault_is_tried_again_and_holds_its_group() {
    let entries: Vec<_> = (0..22).map(|_| entry(Some("a"))).collect();
    let (outcomes, arrived) = run(&entries, |index, before| match index {
        9 if before < 2 => Err(fault(false)),
        _ => Ok(()),
    })
    .await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(arrived, (0..22).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_stays_behind_a_lasting_outage_is_not_sent() {
    let entries: Vec<_> = (0..22).map(|n| entry(Some(if n == 21 { "b" } else { "a" }))).collect();
    let (outcomes, arrived) =
        run(&entries, |index, _| if index == 9 { Err(fault(false)) } else { Ok(()) }).await;
    assert!(matches!(&outcomes[9], Err(Failure::Entry(fault)) if !fault.permanent));
    assert!(outcomes[10..21].iter().all(|outcome| matches!(outcome, Err(Failure::Behind))));
    assert!(outcomes[21].is_ok());
    assert_eq!(arrived.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_final_and_holds_nobody() {
    let entries: Vec<_> = (0..15).map(|_| entry(Some("a"))).collect();
    let (outcomes, arrived) = run(&entries, |index, before| {
        assert_eq!(before, 0);
        if index == 3 { Err(fault(true)) } else { Ok(()) }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1);
    assert_eq!(arrived.len(), 14);
}

#[tokio::test]
async fn an_outage_is_found_out_once() {
    let entries: Vec<_> = (0..200).map(|_| entry(None)).collect();
    let requests = Mutex::new(0);
    let outcomes = deliver(&entries, plan(&entries, &LIMITS), async |_| {
        *requests.lock().expect("no test panicked while holding it") += 1;
        tokio::task::yield_now().await;
        Err(AwsError::invented("ServiceUnavailable", true))
    })
    .await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Failure::Request(_)))));
    assert!(requests.into_inner().expect("no test panicked while holding it") <= CONCURRENCY);
}

#[tokio::test]
async fn one_bad_entry_does_not_take_nine_with_it() {
    let entries: Vec<_> = (0..10).map(|_| entry(None)).collect();
    let outcomes =
        deliver(&entries, plan(&entries, &LIMITS), async |indices: Vec<usize>| match indices.contains(&4) {
            true => Err(AwsError::invented("InvalidMessageContents", false)),
            false => Ok(vec![Ok(()); indices.len()]),
        })
        .await;
    assert!(matches!(outcomes[4], Err(Failure::Request(_))));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 9);
}
