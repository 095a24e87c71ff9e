//! The program as its users run it: the binary, its exit codes, what it prints where.

mod support;

mod cluster;
mod demo;
mod inspect;
mod load;
mod misuse;
mod operate;
mod submit;
mod tail;
mod waitpoints;
