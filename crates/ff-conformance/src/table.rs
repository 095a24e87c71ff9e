//! The table of behaviours: every one, by capability.

/// Hands every behaviour to the macro whose path stands in brackets, once a capability, as
/// `capability { behaviour behaviour .. }` after what is given along with it:
///
/// ```
/// macro_rules! count {
///     ($sum:ident; $capability:ident { $($behaviour:ident)* }) => {
///         $sum += [$(stringify!($behaviour)),*].len();
///     };
/// }
/// let mut behaviours = 0;
/// ff_conformance::for_each_behaviour!([count] behaviours);
/// assert!(behaviours > 400);
/// ```
#[macro_export]
macro_rules! for_each_behaviour {
    ([$($callback:tt)+] $($given:tt)*) => {
        $crate::__submit_behaviours! { [$($callback)+] $($given)* }
        $crate::__claim_behaviours! { [$($callback)+] $($given)* }
        $crate::__lease_behaviours! { [$($callback)+] $($given)* }
        $crate::__terminal_behaviours! { [$($callback)+] $($given)* }
        $crate::__suspend_behaviours! { [$($callback)+] $($given)* }
        $crate::__signal_behaviours! { [$($callback)+] $($given)* }
        $crate::__stream_behaviours! { [$($callback)+] $($given)* }
        $crate::__notice_behaviours! { [$($callback)+] $($given)* }
        $crate::__budget_behaviours! { [$($callback)+] $($given)* }
        $crate::__inspect_behaviours! { [$($callback)+] $($given)* }
        $crate::__admin_behaviours! { [$($callback)+] $($given)* }
        $crate::__faults_behaviours! { [$($callback)+] $($given)* }
        $crate::__refusals_behaviours! { [$($callback)+] $($given)* }
    };
}
