//! The numbers of every figure.

use super::{Measured, Trial, arms, numbers, results, sweep};
use crate::figure::{Figure as _, View};
use crate::record::Metric;

#[test]
fn curves_are_means_over_finished_trials() {
    insta::assert_snapshot!(numbers("curves", &arms()), @r"
    line,label,arm,point,seeds,diverged,goal,left_out,error,scope,epoch,step,seconds,mean,sd
    0,sgd,0,0,2,0,accuracy,,false,test,1,,3,0.75,0
    0,sgd,0,0,2,0,accuracy,,false,test,2,,6,0.6,0.1414
    0,sgd,0,0,2,0,accuracy,,false,train,1,,3,2,0
    0,sgd,0,0,2,0,accuracy,,false,train,2,,6,1,0
    1,nkfac,1,0,1,1,accuracy,,false,test,1,,3,0.75,
    1,nkfac,1,0,1,1,accuracy,,false,test,2,,6,0.8,
    1,nkfac,1,0,1,1,accuracy,,false,train,1,,3,2,
    1,nkfac,1,0,1,1,accuracy,,false,train,2,,6,1,
    2,adam,2,0,0,2,accuracy,,false,,,,,,
    ");
}

#[test]
fn phases_are_milliseconds_per_step() {
    insta::assert_snapshot!(numbers("phases", &arms()), @r"
    line,label,left_out,data,forward,backward,statistics,damping,inversion,preconditioning,update,other
    0,sgd,,0,150,0,0,0,150,0,0,0
    1,nkfac,,0,150,0,0,0,150,0,0,0
    ");
}

#[test]
fn an_ablation_is_against_the_swept_numbers() {
    insta::assert_snapshot!(numbers("ablation", &sweep()), @r"
    line,label,arm,point,axis,at,seeds,diverged,goal,round,final,final_sd,epoch_seconds,epoch_seconds_sd,left_out
    0,kfac,0,0,inverse_every,20,2,0,accuracy,epoch,0.6,0.1414,4,0,
    0,kfac,0,0,inverse_every,1000,2,0,accuracy,epoch,0.5,0,2,0,
    1,sgd,1,0,inverse_every,,1,0,accuracy,epoch,0.6,,1,,
    ");
}

#[test]
fn an_ablation_without_swept_numbers_is_by_line() {
    insta::assert_snapshot!(numbers("ablation", &arms()), @r"
    line,label,arm,point,axis,at,seeds,diverged,goal,round,final,final_sd,epoch_seconds,epoch_seconds_sd,left_out
    0,sgd,0,0,,,2,0,accuracy,epoch,0.6,0.1414,3,1.4142,
    1,nkfac,1,0,,,1,1,accuracy,epoch,0.8,,3,,
    2,adam,2,0,,,0,2,accuracy,epoch,,,,,
    ");
}

/// An arm over a plane of two keys, one point of which diverged.
pub fn plane() -> [Trial; 5] {
    [
        Trial::new("nkfac", 1, 0.5, 1.0).swept(r#"{"a.steps":1,"a.every":20}"#),
        Trial::new("nkfac", 1, 0.6, 1.0).swept(r#"{"a.steps":1,"a.every":200}"#),
        Trial::new("nkfac", 1, 0.7, 1.0).swept(r#"{"a.steps":2,"a.every":20}"#),
        Trial::new("nkfac", 2, 0.9, 1.0).swept(r#"{"a.steps":2,"a.every":20}"#),
        Trial::new("nkfac", 1, 0.1, 1.0).swept(r#"{"a.steps":2,"a.every":200}"#).diverged(),
    ]
}

/// Two solvers on two problems, and one of them on a third; one misses the target of 77 %.
fn contest() -> [Trial; 5] {
    [
        Trial::new("sgd", 1, 0.8, 2.0),
        Trial::new("nkfac", 1, 0.9, 3.0),
        Trial::new("sgd", 2, 0.5, 2.0),
        Trial::new("nkfac", 2, 0.9, 1.0),
        Trial::new("nkfac", 3, 0.9, 1.0).diverged(),
    ]
}

#[test]
fn times_to_a_target_are_interpolated_and_misses_are_kept() {
    insta::assert_snapshot!(numbers("time-to-target", &contest()), @r"
    line,label,arm,point,seed,goal,round,target,outcome,epoch,seconds,left_out
    0,sgd,0,0,1,accuracy,epoch,0.77,reached,1.4,2.8,
    0,sgd,0,0,2,accuracy,epoch,0.77,missed,2,4,
    1,nkfac,1,0,1,accuracy,epoch,0.77,reached,1.1333,3.4,
    1,nkfac,1,0,2,accuracy,epoch,0.77,reached,1.1333,1.1333,
    1,nkfac,1,0,3,accuracy,epoch,0.77,diverged,2,2,
    ");
}

#[test]
fn a_race_is_won_by_means_that_are_certain() {
    let trials = [
        Trial::new("fast", 1, 0.90, 2.0),
        Trial::new("fast", 2, 0.92, 4.0),
        Trial::new("close", 1, 0.79, 2.0),
        Trial::new("close", 2, 0.81, 2.0),
        Trial::new("lost", 1, 0.3, 2.0),
        Trial::new("lost", 2, 0.95, 2.0).diverged(),
    ];
    // Both lines deviate by 0.0141, and z = 0.11·√2/0.0141. The target is what half of the lines reach.
    insta::assert_snapshot!(numbers("race", &trials), @r"
    line,label,arm,point,seeds,goal,target,sigma,z,steps,seconds,left_out
    0,fast,0,0,2,accuracy,0.8,0.0141,11,20,6,
    1,close,1,0,2,accuracy,0.8,0.0141,0,,,
    2,lost,2,0,2,accuracy,0.8,,,,,
    ");
    // Seeds that are farther apart say less.
    let apart = |seed, accuracy| Trial::new("fast", seed, accuracy, 2.0);
    let told = numbers(
        "race",
        &[apart(1, 0.81), apart(2, 1.0), Trial::new("close", 1, 0.8, 2.0), Trial::new("lost", 1, 0.3, 2.0)],
    );
    assert!(told.contains("fast,0,0,2,accuracy,0.8,0.1344,1.1053,,,"), "{told}");
}

#[test]
fn steps_to_a_target_are_medians_at_each_batch_size() {
    let at = |batch, seed, accuracy| Trial::new("sgd", seed, accuracy, 2.0).swept(batch);
    let (small, large) = (r#"{"batch":32}"#, r#"{"batch":256}"#);
    let trials = [
        at(small, 1, 0.9),
        at(small, 2, 0.85),
        at(small, 3, 0.9).diverged(),
        at(large, 1, 0.95),
        at(large, 2, 0.5),
        at(large, 3, 0.5),
    ];
    insta::assert_snapshot!(numbers("batch-size", &trials), @r"
    line,label,arm,point,at,seeds,goal,target,steps,seconds
    0,sgd,0,0,32,3,accuracy,0.76,11,2.2
    0,sgd,0,0,256,3,accuracy,0.76,,
    ");
}

#[test]
fn a_profile_is_over_problems_that_all_solvers_tried() {
    insta::assert_snapshot!(numbers("performance-profile", &contest()), @r"
    line,label,arm,point,problems,goal,target,tau,share,left_out
    0,sgd,0,0,2,accuracy,0.77,1,0.5,
    1,nkfac,1,0,2,accuracy,0.77,1,0.5,
    1,nkfac,1,0,2,accuracy,0.77,1.2143,1,
    ");
}

#[test]
fn the_front_is_what_nothing_beats_in_both() {
    let trials = [Trial::new("sgd", 1, 0.7, 1.0), Trial::new("slow", 1, 0.7, 2.0), Trial::new("nkfac", 1, 0.8, 3.0)];
    insta::assert_snapshot!(numbers("pareto", &trials), @r"
    line,label,arm,point,seeds,diverged,goal,final,final_sd,train_seconds,train_seconds_sd,front,error,left_out
    0,sgd,0,0,1,0,accuracy,0.7,,2,,true,false,
    1,slow,1,0,1,0,accuracy,0.7,,4,,false,false,
    2,nkfac,2,0,1,0,accuracy,0.8,,6,,true,false,
    ");
}

#[test]
fn step_times_are_told_by_how_many_took_so_long() {
    insta::assert_snapshot!(numbers("step-times", &arms()), @r"
    line,label,arm,point,share,milliseconds,seeds,left_out
    0,sgd,0,0,1,15,2,
    0,sgd,0,0,0.9,15,2,
    0,sgd,0,0,0.75,15,2,
    0,sgd,0,0,0.5,15,2,
    0,sgd,0,0,0.35,15,2,
    0,sgd,0,0,0.25,15,2,
    0,sgd,0,0,0.15,15,2,
    0,sgd,0,0,0.1,165,2,
    0,sgd,0,0,0.05,165,2,
    1,nkfac,1,0,1,15,1,
    1,nkfac,1,0,0.9,15,1,
    1,nkfac,1,0,0.75,15,1,
    1,nkfac,1,0,0.5,15,1,
    1,nkfac,1,0,0.35,15,1,
    1,nkfac,1,0,0.25,15,1,
    1,nkfac,1,0,0.15,15,1,
    1,nkfac,1,0,0.1,165,1,
    1,nkfac,1,0,0.05,165,1,
    ");
}

#[test]
fn memory_is_a_mean_over_finished_trials() {
    insta::assert_snapshot!(numbers("memory", &arms()), @r"
    line,label,arm,point,seeds,peak_rss_bytes,peak_rss_bytes_sd,left_out
    0,sgd,0,0,2,1048576,0,
    1,nkfac,1,0,1,1048576,,
    2,adam,2,0,0,,,
    ");
}

#[test]
fn a_heat_map_is_over_the_two_longest_keys() {
    insta::assert_snapshot!(numbers("heatmap", &plane()), @r"
    arm,x_key,y_key,x,y,x_rank,y_rank,seeds,diverged,goal,final,final_sd
    nkfac,a.every,a.steps,20,1,0,0,1,0,accuracy,0.5,
    nkfac,a.every,a.steps,200,1,1,0,1,0,accuracy,0.6,
    nkfac,a.every,a.steps,20,2,0,1,2,0,accuracy,0.8,0.1414
    nkfac,a.every,a.steps,200,2,1,1,0,1,accuracy,,
    ");
    assert_eq!(numbers("heatmap", &sweep()).lines().count(), 1, "one key is no plane");
}

/// Two arms at two learning rates: validation images choose another one than test images.
pub fn tuned(validated: bool) -> Vec<Trial> {
    const LOW: [Measured; 1] = [("validation", 2, 20, 2.0, Metric::Accuracy, 0.4)];
    const HIGH: [Measured; 1] = [("validation", 2, 20, 2.0, Metric::Accuracy, 0.6)];
    let swept = [(r#"{"schedule.lr":0.1}"#, 0.5, &HIGH), (r#"{"schedule.lr":0.5}"#, 0.7, &LOW)];
    let arms = ["sgd", "nkfac"].into_iter();
    arms.flat_map(|arm| {
        swept.map(|(swept, accuracy, measured)| {
            let trial = Trial::new(arm, 1, accuracy, 1.0).swept(swept);
            if validated { trial.probed(measured) } else { trial }
        })
    })
    .collect()
}

#[test]
fn a_swept_arm_is_drawn_at_its_best_point_unless_all_are_asked_for() {
    insta::assert_snapshot!(numbers("memory", &tuned(true)), @r"
    line,label,arm,point,seeds,peak_rss_bytes,peak_rss_bytes_sd,left_out
    0,sgd, schedule.lr = 0.1,0,0,1,1048576,,each arm at its best point by validation accuracy, 2 of 4 lines
    1,nkfac, schedule.lr = 0.1,1,0,1,1048576,,each arm at its best point by validation accuracy, 2 of 4 lines
    ");
    insta::assert_snapshot!(numbers("memory", &tuned(false)), @r"
    line,label,arm,point,seeds,peak_rss_bytes,peak_rss_bytes_sd,left_out
    0,sgd, schedule.lr = 0.5,0,1,1,1048576,,each arm at its best point by test accuracy, which biases it upwards, 2 of 4 lines
    1,nkfac, schedule.lr = 0.5,1,1,1,1048576,,each arm at its best point by test accuracy, which biases it upwards, 2 of 4 lines
    ");
    insta::assert_snapshot!(numbers("memory", &tuned(false)[..2]), @r"
    line,label,arm,point,seeds,peak_rss_bytes,peak_rss_bytes_sd,left_out
    0,sgd, schedule.lr = 0.1,0,0,1,1048576,,
    1,sgd, schedule.lr = 0.5,0,1,1,1048576,,
    ");
    let all = results(&tuned(true)).1.with(View { all: true, error: false });
    assert_eq!(crate::figure::memory::Memory.query(&all).unwrap().height(), 4);
}

#[test]
fn a_figure_of_very_many_lines_shows_the_best_and_says_so() {
    let trial = |place: u32| {
        let swept = Box::leak(format!(r#"{{"a.key":"{place:02}"}}"#).into_boxed_str());
        Trial::new("nkfac", 1, f64::from(place) / 100.0, 1.0).swept(swept)
    };
    let trials: Vec<Trial> = (0..20).map(trial).collect();
    let numbers = numbers("memory", &trials);
    assert_eq!(numbers.lines().count(), 17);
    assert!(numbers.contains("0,\"nkfac, key = 04\"") || numbers.contains("0,nkfac, a.key = 04"), "{numbers}");
    assert!(numbers.lines().skip(1).all(|line| line.contains("the 16 of 20 lines")), "{numbers}");
}
