-- From version 1 to version 2: an index for each way of waiting, so that most of them grow at their
-- end alone; row numbers without a table of their own; claims without a second copy of their names.

drop view work;

-- Where every execution is. The columns before `record` are derived from it.
create table executions_2 (
    seq        integer primary key,
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
    record     text not null, -- JSON: the rest; blanks behind it keep room for what it grows to
    result     blob
);
insert into executions_2 select * from executions;
drop table executions;
alter table executions_2 rename to executions;

create index executions_ready on executions (lane, route, score, id) where owner = 'ready';
create index executions_held on executions (lane, owner, score, id)
    where owner <> 'ready' and owner <> 'done';
create index executions_done on executions (lane, score, id) where owner = 'done';
create index executions_by_timer on executions (partition, due_at, id)
    where due_at is not null and owner <> 'done';
create index executions_by_retention on executions (partition, due_at, id)
    where due_at is not null and owner = 'done';

create table claims_2 (
    partition  integer not null,
    namespace  text not null,
    instance   text not null,
    slot       integer not null,
    memory     text not null, -- JSON
    expires_at integer not null,
    primary key (partition, namespace, instance, slot)
) without rowid;
insert into claims_2 select * from claims;
drop table claims;
alter table claims_2 rename to claims;

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
