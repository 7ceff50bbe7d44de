-- OP_WRITE: the blocks of new slices are stored, their records become part of the file (juicefs-format.md 5.14, 8.2).
--
-- References of new slices are not counted: a field that is absent means one.  An op that comes again (its answer was
-- lost) is recognised by its first slice and changes nothing.  An immutable or append-only flag set since the file was
-- opened does not stop its writers, as with the kernel.
--
-- data.file_end() and data.push() are for OP_MAKE too, which runs this file first.
do
    local ITEM = 28 -- u32 chunk index, record
    local TAIL = 16 -- records that others may have added since the first try

    -- Checks the rules of 3.4, where breaking one would make the chunk unreadable.  Returns the end of the data in
    -- the file and whether all is well.
    function data.file_end(items)
        local CHUNK, most = data.CHUNK, 0
        for at = 1, #items, ITEM do
            local index, pos, id, size, off, len = unpack_at(">I4I4c8I4I4I4", items, at)
            if len == 0 or pos + len > CHUNK then
                return 0, false
            elseif id == num.ZERO then
                if size ~= 0 or off ~= 0 then
                    return 0, false
                end
            elseif off + len > size then
                return 0, false
            end
            local last = index * CHUNK + pos + len
            if last > most then
                most = last
            end
        end
        return most, true
    end

    -- Did this op already happen?
    local function is_repeated(stem, items)
        for at = 1, #items, ITEM do
            if sub(items, at + 8, at + 15) ~= num.ZERO then
                local record = sub(items, at + 4, at + 27)
                local key = stem .. format("%.0f", (unpack_at(">I4", items, at)))
                for _, there in ipairs(call("LRANGE", key, -TAIL, -1)) do
                    if there == record then
                        return true
                    end
                end
                return false
            end
        end
        return false
    end

    -- Counts the records of a request's packs (op_batch.lua).
    local function count(packs, items)
        for at = 9, #items, ITEM do
            local p = packs[sub(items, at, at + 11)]
            if p then
                p.n = p.n + 1
            end
        end
    end

    -- Appends the records, those that follow each other in one chunk by one command.  stem: the key without the number
    -- of the chunk.
    function data.push(stem, items)
        if data.packs then
            count(data.packs, items)
        end
        local at = 1
        while at <= #items do
            local index = sub(items, at, at + 3)
            local key = stem .. format("%.0f", (unpack_at(">I4", index)))
            local run = { sub(items, at + 4, at + 27) }
            at = at + ITEM
            while #run < 1000 and sub(items, at, at + 3) == index do
                run[#run + 1] = sub(items, at + 4, at + 27)
                at = at + ITEM
            end
            call("RPUSH", key, unpack(run))
        end
    end

    ops[18] = function(env, op)
        local ino, items = op.base, op.data
        local a = attr.load(ino)
        if not a then
            return fail(E.NOENT)
        elseif a.type ~= T.FILE then
            return fail(E.PERM)
        end
        local last, valid = 0, #items % ITEM == 0
        if valid then
            last, valid = data.file_end(items)
        end
        if not valid then
            return fail(E.INVAL)
        elseif last > data.LENGTH_MAX then
            return fail(E.FBIG)
        end
        local stem = P .. "c" .. num.dec(ino) .. "_"
        if (#items == 0 and op.mode == 0) or is_repeated(stem, items) then
            return 0, ino, a.raw, a.parent, 0, ""
        end
        local old = a.length
        local length = last > old and last or old
        local space = acct.usage(length) - acct.usage(old)
        local err = acct.room_resize(env, ino, a, space)
        if err then
            return fail(err)
        end
        if op.mode ~= 0 then -- what its writers took away
            a.mode = band(a.mode, bnot(band(op.mode, 3072)))
        else
            data.kill_priv(op, a)
        end
        a.length = length
        data.stamp(a, op.mtime)
        attr.changed(op, a)
        attr.save(ino, a)
        data.push(stem, items)
        if length ~= old then
            acct.resize(env, ino, a, length - old, space)
        end
        return 0, ino, a.raw, a.parent, 0, ""
    end
end
