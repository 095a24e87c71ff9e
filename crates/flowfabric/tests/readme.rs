//! The README shows the example that is there.

#[test]
fn the_first_worker_of_the_readme_is_the_example() {
    let readme = include_str!("../../../README.md");
    let example = include_str!("../../../examples/first_worker.rs");
    let (_, after) = readme.split_once("## The first worker").expect("the section");
    let (_, after) = after.split_once("```rust\n").expect("its code");
    let (shown, _) = after.split_once("```").expect("the end of its code");
    let code = example.lines().skip_while(|line| !line.starts_with("use "));
    let shown: Vec<&str> = shown.lines().collect();
    assert_eq!(code.collect::<Vec<_>>(), shown);
}
