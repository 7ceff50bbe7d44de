-- OP_REPACK: records move from slices that are mostly dead to a new one (juicefs-format.md 6.8, 8.2 rule 5).
-- OP_RECOUNT: fields of sliceRef that a check found wrong.
do
    local ITEM = 60 -- u64 inode, u32 chunk index, record, new record

    local function slice_field(id, size)
        return "k" .. num.dec(id) .. "_" .. format("%.0f", size)
    end

    -- Does every new record hold the same bytes of its chunk, in the new slice?
    local function valid(items, slice, total)
        if #items == 0 or #items % ITEM ~= 0 or slice == num.ZERO then
            return false
        end
        for at = 1, #items, ITEM do
            local pos, old, _, _, len, new_pos, id, size, off, new_len =
                unpack_at(">I4c8I4I4I4I4c8I4I4I4", items, at + 12)
            if old == num.ZERO or old == slice or pos ~= new_pos or len ~= new_len or len == 0 then
                return false
            elseif id ~= slice or size ~= total or off + len > size or pos + len > data.CHUNK then
                return false
            end
        end
        return true
    end

    -- Replaces one record.  The inode is written as it is: stock's transactions on the file notice.
    local function replace(items, at)
        local ino = sub(items, at, at + 7)
        local a = attr.load(ino)
        if not a or a.type ~= T.FILE then
            return false
        end
        local key = P .. "c" .. num.dec(ino) .. "_" .. format("%.0f", (unpack_at(">I4", items, at + 8)))
        local old = sub(items, at + 12, at + 35)
        for i, record in ipairs(call("LRANGE", key, 0, -1)) do
            if record == old then
                call("LSET", key, i - 1, sub(items, at + 36, at + 59))
                call("SET", num.key("i", ino), a.raw)
                return true
            end
        end
        return false
    end

    ops[25] = function(env, op)
        local items, refs = op.data, P .. "sliceRef"
        if not valid(items, op.ino, op.len) then
            return fail(E.INVAL)
        end
        local field = slice_field(op.ino, op.len)
        if call("HEXISTS", refs, field) == 1 then
            return fail(E.EXIST)
        end
        local done, freed, seen = 0, {}, {}
        for at = 1, #items, ITEM do
            if replace(items, at) then
                done = done + 1
                local slice = sub(items, at + 16, at + 27)
                local left = call("HINCRBY", refs, slice_field(sub(slice, 1, 8), (unpack_at(">I4", slice, 9))), -1)
                if left < 0 and not seen[slice] then
                    seen[slice] = true
                    freed[#freed + 1] = slice
                end
            end
        end
        if done > 1 then
            call("HSET", refs, field, done - 1)
        end
        return 0, op.ino, "", "", 0, pack(">I4", done) .. concat(freed)
    end

    ops[26] = function(env, op)
        local items, refs, done = op.data, P .. "sliceRef", 0
        if #items % 28 ~= 0 then
            return fail(E.INVAL)
        end
        for at = 1, #items, 28 do
            local id, size, seen, right = unpack_at(">c8I4i8i8", items, at)
            local field = slice_field(id, size)
            if tonumber(call("HGET", refs, field) or "0") == seen then
                done = done + 1
                if right == 0 then
                    call("HDEL", refs, field)
                else
                    call("HSET", refs, field, format("%.0f", right))
                end
            end
        end
        return 0, "", "", "", 0, pack(">I4", done)
    end
end
