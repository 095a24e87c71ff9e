-- The schema of a FlowFabric file, version 1.

-- What belongs to the file as a whole: the partition count, the keyring.
create table meta (
    name  text primary key,
    value text not null
) without rowid;

-- Lanes that ever held work, each once a partition.
create table lanes (
    lane      integer primary key,
    partition integer not null,
    namespace text not null,
    name      text not null,
    unique (partition, namespace, name)
);

create table lane_defaults (
    namespace text not null,
    name      text not null,
    defaults  text not null, -- JSON
    primary key (namespace, name)
) without rowid;

-- Where every execution is. The columns before `record` are derived from it.
create table executions (
    seq        integer primary key autoincrement,
    id         text not null unique,
    lane       integer not null references lanes,
    partition  integer not null,
    state      text not null, -- as people see it: waiting, active, completed ...
    owner      text not null, -- the index that holds it: ready, delayed, active ...
    route      text not null, -- of a ready one: the capabilities it requires
    score      integer not null, -- its place in that index
    due_at     integer, -- when its earliest timer fires, in ms
    attempts   integer not null,
    updated_at integer not null,
    signals    integer not null, -- how many the table of signals holds
    record     text not null, -- JSON: the rest
    result     blob
);
create index executions_by_owner on executions (lane, owner, route, score, id);
create index executions_by_timer on executions (partition, due_at, id) where due_at is not null;

-- What never changes after the submission.
create table definitions (
    seq              integer primary key references executions,
    kind             text not null,
    fairness_key     text,
    policy           text not null, -- JSON
    fingerprint      text not null,
    deadline_span_ms integer,
    created_at       integer not null,
    input            blob not null
);

-- How many live executions require each set of capabilities.
create table routes (
    lane  integer not null references lanes,
    route text not null,
    live  integer not null,
    primary key (lane, route)
) without rowid;

create table signals (
    number    integer primary key,
    seq       integer not null references executions,
    signal_id text not null,
    signal    text not null -- JSON
);
create index signals_by_execution on signals (seq, number);

create table frames (
    seq            integer not null references executions,
    attempt        integer not null,
    at             integer not null,
    sequence       integer not null,
    frame_type     text not null,
    payload        blob not null,
    correlation_id text,
    primary key (seq, attempt, at, sequence)
) without rowid;

create table idempotency (
    partition    integer not null,
    namespace    text not null,
    key          text not null,
    execution_id text not null,
    expires_at   integer not null,
    unique (partition, namespace, key)
);
create index idempotency_by_expiry on idempotency (expires_at);

create table claims (
    partition  integer not null,
    namespace  text not null,
    instance   text not null,
    slot       integer not null,
    memory     text not null, -- JSON
    expires_at integer not null,
    unique (partition, namespace, instance, slot)
);
create index claims_by_expiry on claims (expires_at);

create table workers (
    namespace    text not null,
    instance     text not null,
    registration text not null, -- JSON
    expires_at   integer not null,
    primary key (namespace, instance)
) without rowid;

create table budgets (
    id   text primary key,
    info text not null -- JSON
) without rowid;

-- What budgets remember of reports: calls, dedup keys, and the highest epoch of each execution.
create table usage_memory (
    budget     text not null references budgets,
    kind       text not null, -- call, key, epoch
    name       text not null,
    value      text not null, -- JSON
    expires_at integer not null,
    unique (budget, kind, name)
);
create index usage_memory_by_expiry on usage_memory (expires_at);

-- For people: one row an execution, the interesting parts spelled out.
create view work as
select
    e.id,
    l.namespace,
    l.name as lane,
    d.kind,
    e.state,
    e.attempts,
    json_extract(e.record, '$.retries') as retries,
    json_extract(e.record, '$.phase.active.worker_instance_id') as worker,
    coalesce(json_extract(e.record, '$.failure_category'), '') as failure_category,
    coalesce(json_extract(e.record, '$.end_reason'), '') as end_reason,
    datetime(d.created_at / 1000, 'unixepoch') as created_at,
    datetime(e.updated_at / 1000, 'unixepoch') as updated_at,
    datetime(e.due_at / 1000, 'unixepoch') as due_at,
    length(d.input) as input_bytes,
    length(e.result) as result_bytes
from executions e
join definitions d using (seq)
join lanes l using (lane);
