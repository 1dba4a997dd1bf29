insert into ops.erasure_key (key) values (%(key)s)
on conflict (one) do nothing
