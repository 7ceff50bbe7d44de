-- A request (core/meta/engine.h): ARGV[2] is its head, the ops follow.  Kind 0 stands for it.
--
--   head    u8 2, u8 flags (1 force), u64 seq, u16 ops, u16 packs, packs * (u64 id, u32 size), board ("": plain call)
--   op      as core/op/op.h has it, or u8 3, u8 kind and many of that kind (op_make.lua, op_unlink.lua)
--   reply   { outcome, last, packs' counts (u32 each), an answer an argument }; repeated: { 1, last, codes };
--           a gap: { 2, last, "" }
--           error NOVOLUME: a batch, and the database lost everything
--   codes   (u16 index of an op, i16 its code) for those that are not 0; false: not kept any more
--
-- ~seq, a hash: field board = u64 last seq, u64 time of it, then of the latest batches, oldest first, where any code
-- was not 0: u64 seq, u16 n, n codes.  It is written before anything else, so a server that refuses writes (out of
-- memory, read-only) refuses the batch whole.
do
    local KEPT = 16 -- batches of a board that may be on their way
    local MANY, IDLE, PAGE = 1000, 7 * 86400, 1000

    -- Codes of batch seq, and what is to be kept of them by batch `next`.
    local function codes_of(kept, seq, next)
        local codes, at, from = "", 1, nil
        while at <= #kept do
            local s, n = unpack_at(">I8H", kept, at)
            if s == seq then
                codes = sub(kept, at + 10, at + 9 + 4 * n)
            end
            if not from and s > next - KEPT then
                from = at
            end
            at = at + 10 + 4 * n
        end
        return codes, from and sub(kept, from) or ""
    end

    -- A new board: those that were not used for long leave.
    local function expire(key, now)
        local n = call("HLEN", key)
        if n <= MANY then
            return
        end
        local cursor = n > 10 * PAGE and format("%.0f", now % n) or "0" -- of very many some
        for _ = 1, 10 do
            local page = call("HSCAN", key, cursor, "COUNT", PAGE)
            local list, old = page[2], {}
            for i = 1, #list, 2 do
                if #list[i + 1] < 16 or unpack_at(">I8", list[i + 1], 9) < now - IDLE then
                    old[#old + 1] = list[i]
                end
            end
            for i = 1, #old, PAGE do
                call("HDEL", key, unpack(old, i, math.min(i + PAGE - 1, #old)))
            end
            cursor = page[1]
            if cursor == "0" then
                return
            end
        end
    end

    -- Packs: slices that several records of the request name.  While it runs one reference more than there are
    -- records is kept, so that nothing the request removes takes a slice that it names again later.  A field that is
    -- absent is that one; records are counted in Redis before an op that might remove some, and at the end.
    local function open_packs(head, n)
        local packs, list = {}, {}
        for i = 1, n do
            local slice = sub(head, 3 + 12 * i, 14 + 12 * i)
            local id, size = unpack_at(">c8I4", slice)
            packs[slice] = { n = 0, total = 0, field = "k" .. num.dec(id) .. "_" .. format("%.0f", size) }
            list[i] = packs[slice]
        end
        data.packs = packs
        return list
    end

    local function count_packs(list)
        for i = 1, #list do
            local p = list[i]
            if p.n > 0 then
                call("HINCRBY", P .. "sliceRef", p.field, p.n)
                p.total = p.total + p.n
                p.n = 0
            end
        end
    end

    -- The extra reference goes.  How many records named each; 0 also when all were removed again.
    local function close_packs(list)
        local out = {}
        for i = 1, #list do
            local p = list[i]
            p.total = p.total + p.n
            if p.total > 0 and p.n ~= 1 and call("HINCRBY", P .. "sliceRef", p.field, p.n - 1) < 0 then
                p.total = 0
            end
            out[i] = pack(">I4", p.total)
        end
        return concat(out)
    end

    -- The stamps of a directory as if the items of a group had come one by one: g has d, s, at (of the first item), n,
    -- first_sec, first_nsec, last_sec, last_nsec; times do not go back.  next_time(s, at) answers the place of the item
    -- after it, its time, and whether it touches whatever the time is (`forced`: some do).  True: g.d was changed.
    function attr.touch_run(env, g, next_time, forced)
        local d, at, touched = g.d, g.at, false
        local skip, sec, nsec = env.skip_ms, unpack_at(">i8I4", d.mtime)
        local function is_due(now_sec, now_nsec)
            return (now_sec - sec) * 1000 + (now_nsec - nsec) / 1000000 >= skip
        end
        local span = (g.last_sec - g.first_sec) * 1000 + (g.last_nsec - g.first_nsec) / 1000000
        if not forced and not is_due(g.last_sec, g.last_nsec) then
            return false
        elseif not forced and span < skip and is_due(g.first_sec, g.first_nsec) then -- no later one is due then
            sec, nsec, touched = g.first_sec, g.first_nsec, true
        else
            for _ = 1, g.n do
                local now_sec, now_nsec, must
                at, now_sec, now_nsec, must = next_time(g.s, at)
                if must or is_due(now_sec, now_nsec) then
                    sec, nsec, touched = now_sec, now_nsec, true
                end
            end
        end
        if touched then
            d.mtime = pack(">i8I4", sec, nsec)
            d.ctime = d.mtime
        end
        return touched
    end

    ops[0] = function(env, argv)
        local head = argv[2]
        local _, flags, seq, n, npacks = unpack_at(">BBI8HH", head)
        local board = sub(head, 15 + 12 * npacks)
        local key, last, kept, stamp = P .. "~seq", 0, "", nil
        if board ~= "" then
            local there = call("HGET", key, board)
            if not there and call("EXISTS", P .. "setting") == 0 then
                return redis.error_reply("NOVOLUME the database holds no volume: `setting` is gone")
            elseif there then
                last = unpack_at(">I8", there)
                kept = sub(there, 17)
            end
            local codes
            codes, kept = codes_of(kept, seq, seq)
            if seq <= last then
                return { 1, last, seq > last - KEPT and codes }
            elseif seq ~= last + 1 and flags % 2 == 0 then
                return { 2, last, "" }
            end
            local now = tonumber(call("TIME")[1])
            if not there then
                expire(key, now)
            end
            stamp = pack(">I8I8", seq, now) .. kept
            call("HSET", key, board, stamp)
        end
        local packs = npacks > 0 and open_packs(head, npacks)
        local answers, failed, at = { 0, last, "" }, {}, 0 -- at: ops before this argument
        local function note(a)
            if a[1] ~= 0 then
                failed[#failed + 1] = pack(">Hi2", at, a[1])
            end
            at = at + 1
        end
        for i = 3, #argv do
            local s = argv[i]
            local mark, kind = byte(s, 1, 2)
            if packs and kind ~= 24 and kind ~= 18 then
                count_packs(packs)
            end
            local a
            if mark == 3 then
                local n
                opcodec.runner(kind)
                a, n = groups[kind](env, s)
                if n then -- all worked
                    at = at + n
                else
                    for k = 1, #a do
                        note(a[k])
                    end
                end
            else
                a = opcodec.run(env, s)
                note(a)
            end
            answers[i + 1] = a
        end
        if packs then
            answers[3] = close_packs(packs)
        end
        if stamp and #failed > 0 then
            call("HSET", key, board, stamp .. pack(">I8H", seq, #failed) .. concat(failed))
        end
        return answers
    end
end
