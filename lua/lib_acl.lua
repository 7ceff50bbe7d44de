-- acl - POSIX ACL rules (juicefs-format.md 3.9, 5.19).  Rules are immutable; attrs name them by number.
do
    local NONE = 65535

    local function rule_of(id)
        local raw = id ~= 0 and call("HGET", P .. "acl", id)
        if not raw or #raw < 16 then
            return nil
        end
        local r = { raw = raw }
        r.owner, r.group, r.mask, r.other, r.users = unpack_at(">HHHHI4", raw)
        r.users_at = 13
        r.groups_at = 17 + 6 * r.users
        if #raw < r.groups_at - 1 then
            return nil
        end
        r.groups = unpack_at(">I4", raw, r.groups_at - 4)
        if #raw < r.groups_at - 1 + 6 * r.groups then
            return nil
        end
        return r
    end

    -- true, false, or nil: there is no rule, the mode decides.
    function acl.check(op, a, want)
        local r = rule_of((unpack_at(">I4", a.acl)))
        if not r then
            return nil
        end
        if op.uid == a.uid then
            return band(r.owner, want) == want
        end
        local mask = r.mask == NONE and 7 or r.mask
        for i = 0, r.users - 1 do
            local id, bits = unpack_at(">I4H", r.raw, r.users_at + 6 * i)
            if id == op.uid then
                return band(bits, mask, want) == want
            end
        end
        local matched = false
        if perm.in_group(op, a.gid) then
            if band(r.group, mask, want) == want then
                return true
            end
            matched = true
        end
        for i = 0, r.groups - 1 do
            local id, bits = unpack_at(">I4H", r.raw, r.groups_at + 6 * i)
            if perm.in_group(op, id) then
                if band(bits, mask, want) == want then
                    return true
                end
                matched = true
            end
        end
        if matched then
            return false
        end
        return band(r.other, want) == want
    end

    -- Number of a rule, which is stored when it is new.
    local function store(raw)
        local all = call("HGETALL", P .. "acl")
        for i = 2, #all, 2 do
            if all[i] == raw then
                return tonumber(all[i - 1])
            end
        end
        local id = call("INCR", P .. "aclMaxId")
        call("HSETNX", P .. "acl", id, raw)
        return id
    end

    -- The default rule of the directory d for a new object in it: sets a.mode from the mode that was asked for
    -- (umask not applied) and a.acl.  False: d has none, the umask counts.  Writes when the rule is a new one.
    function acl.inherit(d, a, mode)
        local default = d.acl and sub(d.acl, 5, 8)
        local r = default and rule_of((unpack_at(">I4", default)))
        if not r then
            return false
        end
        local mine = "\0\0\0\0"
        local bits = band(mode, 511)
        if r.users == 0 and r.groups == 0 and r.mask == NONE then
            bits = band(bits, bor(r.owner % 8 * 64, r.group % 8 * 8, r.other % 8))
        else
            local owner = band(r.owner, floor(bits / 64))
            local mask = band(r.mask, floor(bits / 8) % 8)
            local other = band(r.other, bits % 8)
            mine = pack(">I4", store(pack(">HHHH", owner, r.group, mask, other) .. sub(r.raw, 9)))
            bits = owner * 64 + mask * 8 + other
        end
        a.mode = mode - mode % 512 + bits
        local ids = mine .. (a.type == T.DIR and default or "\0\0\0\0")
        a.acl = ids ~= num.ZERO and ids or nil
        return true
    end

    -- chmod of an object that has an access rule: owner, mask (or group) and others of the rule become the mode's, as a
    -- rule of its own.  True: *a* was changed.  Nil: there is no rule.
    function acl.chmod(a, mode)
        local r = a.acl and rule_of((unpack_at(">I4", a.acl)))
        if not r then
            return nil
        end
        local group, mask = r.group, r.mask
        local bits = floor(mode / 8) % 8
        if r.users == 0 and r.groups == 0 and mask == NONE then
            group = bits
        else
            mask = bits
        end
        local raw = pack(">HHHH", floor(mode / 64) % 8, group, mask, mode % 8) .. sub(r.raw, 9)
        if raw == r.raw and mode == a.mode then
            return false
        end
        a.acl = pack(">I4", store(raw)) .. sub(a.acl, 5)
        a.mode = mode
        return true
    end
end
