-- purge.data - removes the records of a deleted file and gives back their references (juicefs-format.md 5.10).

-- Chunks of the first `length` bytes of ino, which has no i{ino} any more.  Returns the slices that nobody refers to
-- now, n * (u64 id, u32 size): their blocks may go, and after that OP_FORGET.  Lists past that length stay, as stock
-- leaves them.
function purge.data(ino, length)
    if length <= 0 then
        return ""
    end
    local refs = P .. "sliceRef"
    local freed, seen = {}, {}
    for _, key in ipairs(data.lists(ino, 0, floor((length - 1) / data.CHUNK))) do
        local records = call("LRANGE", key, 0, -1)
        if #records > 0 then
            call("DEL", key)
        end
        for i = 1, #records do
            local r = records[i]
            local id = sub(r, 5, 12)
            if #r == 24 and id ~= num.ZERO then
                local slice = sub(r, 5, 16)
                local size = unpack_at(">I4", r, 13)
                if call("HINCRBY", refs, "k" .. num.dec(id) .. "_" .. format("%.0f", size), -1) < 0 and not seen[slice] then
                    seen[slice] = true
                    freed[#freed + 1] = slice
                end
            end
        end
    end
    return concat(freed)
end
