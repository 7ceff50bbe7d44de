-- acct - what a change costs: volume counters, limits, dir stats, dir quotas (juicefs-format.md 4, 5.20, 5.21, 5.25).
--
-- Checks (room*) are made before anything is written and answer nil or an errno.  Stats and quota usage change only
-- where a field exists: a field made by HINCRBY would look authoritative to stock, a missing one is recounted.

-- 4K(n): bytes a length uses.
function acct.usage(length)
    if length == 0 then
        return 4096
    end
    local rest = length % 4096
    return rest == 0 and length or length - rest + 4096
end

-- V: the volume's own counters.
function acct.volume(dspace, dinodes)
    if dspace ~= 0 then
        call("INCRBY", P .. "usedSpace", format("%.0f", dspace)) -- Redis writes a number above 10^17 as 1e+17
    end
    if dinodes ~= 0 then
        call("INCRBY", P .. "totalInodes", dinodes)
    end
end

-- Has any directory a quota?  Asked once a call of the script.
function acct.has_quotas(env)
    if env.quotas == nil then
        env.quotas = env.dir_stats and call("EXISTS", P .. "dirQuotaUsedInodes") == 1
    end
    return env.quotas
end

-- The inodes, as decimal text, of dir and its ancestors that have a quota; nil: none.
function acct.quota_dirs(env, dir)
    if not acct.has_quotas(env) then
        return nil
    end
    local found, seen = nil, 0
    while dir ~= num.ZERO and not num.is_trash(dir) do
        local f = num.dec(dir)
        if call("HEXISTS", P .. "dirQuotaUsedInodes", f) == 1 then
            found = found or {}
            found[#found + 1] = f
        end
        seen = seen + 1
        if dir == num.ROOT or seen > 4096 then
            break
        end
        local a = attr.load(dir)
        if not a then
            break
        end
        dir = a.parent
    end
    return found
end

-- Would the volume's limits be passed?  nil or E.NOSPC.
function acct.room_volume(env, dspace, dinodes)
    if env.capacity > 0 and dspace > 0 then
        if (tonumber(call("GET", P .. "usedSpace") or 0) or 0) + dspace > env.capacity then
            return E.NOSPC
        end
    end
    if env.inodes > 0 and dinodes > 0 then
        if (tonumber(call("GET", P .. "totalInodes") or 0) or 0) + dinodes > env.inodes then
            return E.NOSPC
        end
    end
    return nil
end

-- Would a quota in the list (of quota_dirs) be passed?  nil or E.DQUOT.
function acct.room_quotas(found, dspace, dinodes)
    for i = 1, found and #found or 0 do
        local f = found[i]
        local limit = call("HGET", P .. "dirQuota", f)
        if limit and #limit == 16 then
            local space, inodes = unpack_at(">i8i8", limit)
            if dspace > 0 and space > 0
                and (tonumber(call("HGET", P .. "dirQuotaUsedSpace", f) or 0) or 0) + dspace > space then
                return E.DQUOT
            end
            if dinodes > 0 and inodes > 0
                and (tonumber(call("HGET", P .. "dirQuotaUsedInodes", f) or 0) or 0) + dinodes > inodes then
                return E.DQUOT
            end
        end
    end
    return nil
end

-- Would a quota of dir or above be passed?  nil or E.DQUOT.
function acct.room_dir(env, dir, dspace, dinodes)
    return acct.room_quotas(acct.quota_dirs(env, dir), dspace, dinodes)
end

-- May this much be added below dir?  nil, E.NOSPC or E.DQUOT.
function acct.room(env, dir, dspace, dinodes)
    return acct.room_volume(env, dspace, dinodes) or acct.room_dir(env, dir, dspace, dinodes)
end

local function add_if_there(hash, field, n)
    if n ~= 0 and call("HEXISTS", P .. hash, field) == 1 then
        call("HINCRBY", P .. hash, field, format("%.0f", n))
    end
end

-- DS: direct children of dir.
function acct.stats(env, dir, dlen, dspace, dinodes)
    if env.dir_stats then
        local f = num.dec(dir)
        add_if_there("dirDataLength", f, dlen)
        add_if_there("dirUsedSpace", f, dspace)
        add_if_there("dirUsedInodes", f, dinodes)
    end
end

-- Usage of the quotas in a list of quota_dirs.
function acct.use_quotas(found, dspace, dinodes)
    for i = 1, found and #found or 0 do
        local f = found[i]
        call("HSETNX", P .. "dirQuota", f, "\255\255\255\255\255\255\255\255\255\255\255\255\255\255\255\255")
        if dspace ~= 0 then
            call("HINCRBY", P .. "dirQuotaUsedSpace", f, format("%.0f", dspace))
        end
        if dinodes ~= 0 then
            call("HINCRBY", P .. "dirQuotaUsedInodes", f, dinodes)
        end
    end
end

-- DQ: quotas of dir and above.
function acct.quota(env, dir, dspace, dinodes)
    acct.use_quotas(acct.quota_dirs(env, dir), dspace, dinodes)
end

-- DS and DQ for one object (its attr) that dir gains (sign 1) or loses (-1).  The trash has stats but no quota.
function acct.entry(env, dir, a, sign)
    local len = attr.data_length(a)
    local space = acct.usage(len)
    acct.stats(env, dir, sign * len, sign * space, sign)
    if not num.is_trash(dir) then
        acct.quota(env, dir, sign * space, sign)
    end
end

-- DS and DQ for an entry that dir loses and that held no data: a directory, or one without an attr.
function acct.lost_entry(env, dir)
    acct.stats(env, dir, 0, -4096, -1)
    if not num.is_trash(dir) then
        acct.quota(env, dir, -4096, -1)
    end
end

-- The directories that hold a non-directory: a list of { dir, links in it }.
function acct.parents(ino, a)
    if a.parent ~= num.ZERO then
        return { { a.parent, 1 } }
    end
    local list = {}
    local p = call("HGETALL", P .. "p" .. num.dec(ino))
    for i = 1, #p, 2 do
        local n = tonumber(p[i + 1]) or 0
        if n > 0 then
            list[#list + 1] = { num.bytes(p[i]), n }
        end
    end
    return list
end

-- May a file grow by dspace?  Volume, then the quotas of each directory that holds it.
function acct.room_resize(env, ino, a, dspace)
    if dspace <= 0 then
        return nil
    end
    local err = acct.room_volume(env, dspace, 0)
    if err or a.nlink == 0 or not acct.has_quotas(env) then
        return err
    end
    for _, p in ipairs(acct.parents(ino, a)) do
        err = acct.room_dir(env, p[1], dspace, 0)
        if err then
            return err
        end
    end
    return nil
end

-- V, DS and DQ of a file whose length changed: each directory counts it once a link.  A file without a name
-- counts in the volume only.
function acct.resize(env, ino, a, dlen, dspace)
    acct.volume(dspace, 0)
    if a.nlink == 0 or not env.dir_stats or (dlen == 0 and dspace == 0) then
        return
    end
    for _, p in ipairs(acct.parents(ino, a)) do
        acct.stats(env, p[1], dlen * p[2], dspace * p[2], 0)
        if not num.is_trash(p[1]) then
            acct.quota(env, p[1], dspace * p[2], 0)
        end
    end
end
