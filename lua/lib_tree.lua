-- tree - size of a whole tree, for a rename from one quota to another.
do
    local LIMIT, MGET_MAX = 100000, 1000

    -- Space and inodes of the object and all below it, as quotas count them; nil when there are more than LIMIT
    -- entries: counting would keep the server from its other clients.
    function tree.size(ino, a)
        if a.type ~= T.DIR then
            return acct.usage(attr.data_length(a)), 1
        end
        local space, inodes, stack = 4096, 1, { ino }
        while #stack > 0 do
            local key = num.key("d", stack[#stack])
            stack[#stack] = nil
            inodes = inodes + call("HLEN", key)
            if inodes > LIMIT then
                return nil
            end
            local values = call("HVALS", key)
            local keys = {}
            for i = 1, #values do
                local type, child = attr.of_entry(values[i])
                if type == T.FILE then
                    keys[#keys + 1] = num.key("i", child)
                else
                    space = space + 4096
                    if type == T.DIR then
                        stack[#stack + 1] = child
                    end
                end
            end
            for first = 1, #keys, MGET_MAX do
                local raws = call("MGET", unpack(keys, first, math.min(first + MGET_MAX - 1, #keys)))
                for i = 1, #raws do
                    space = space + (raws[i] and acct.usage(attr.decode(raws[i]).length) or 4096)
                end
            end
        end
        return space, inodes
    end
end
