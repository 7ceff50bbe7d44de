-- trash - what becomes of an inode that lost a name: into the trash, one link less, kept for its openers, or gone
-- (juicefs-format.md 5.9, 5.10).
--
-- trash.plan() decides and writes nothing; trash.put() or trash.drop() carry it out.  The name itself, in d{dir}, is
-- the caller's.  An hour directory is made when something goes into it (stock also makes one for a rename that
-- replaces nothing).
do
    local CHUNK = 67108864
    local INLINE_CHUNKS = 64 -- longer files are listed in delfiles and purged by calls of their own

    -- "YYYY-MM-DD-HH", UTC, of unix seconds.
    function trash.hour_name(sec)
        local days = floor(sec / 86400)
        local hour = floor((sec - days * 86400) / 3600)
        local z = days + 719468 -- days since 0000-03-01; eras of 400 years
        local era = floor(z / 146097)
        local doe = z - era * 146097
        local yoe = floor((doe - floor(doe / 1460) + floor(doe / 36524) - floor(doe / 146096)) / 365)
        local doy = doe - (365 * yoe + floor(yoe / 4) - floor(yoe / 100))
        local mp = floor((5 * doy + 2) / 153)
        local day = doy - floor((153 * mp + 2) / 5) + 1
        local month = mp < 10 and mp + 3 or mp - 9
        local year = yoe + era * 400 + (month <= 2 and 1 or 0)
        return format("%04d-%02d-%02d-%02d", year, month, day, hour)
    end

    -- Does the inode (attr *a*), losing `name` in dir, go to the trash?  A plan for trash.put(); nil: no, use
    -- trash.drop(); nil and an errno.
    function trash.plan(env, op, dir, name, ino, a)
        if not env.trash or num.is_trash(dir) or band(a.flags, A.SKIP_TRASH) ~= 0 then
            return nil
        end
        local hour = trash.hour_name(op.now_sec)
        local found = call("HGET", P .. "d" .. num.dec(num.TRASH), hour)
        local plan = { hour = hour, dir = nil, name = sub(num.dec(dir) .. "-" .. num.dec(ino) .. "-" .. name, 1, 255) }
        if found then
            local _, at = attr.of_entry(found)
            plan.dir = at
            if a.nlink > 1 and a.type ~= T.DIR and call("HEXISTS", num.key("d", at), plan.name) == 1 then
                return nil
            end
        elseif call("EXISTS", num.key("i", num.TRASH)) == 0 then
            return nil, E.NOENT
        end
        return plan
    end

    local function make_hour(op, hour)
        local dir = num.trash_dir(call("INCR", P .. "nextTrash"))
        attr.save(dir, attr.new(op, T.DIR, 365, 0, 0, num.TRASH)) -- 0555
        call("HSET", P .. "d" .. num.dec(num.TRASH), hour, attr.entry(T.DIR, dir))
        local f = num.dec(dir)
        call("HSET", P .. "dirUsedInodes", f, "0")
        call("HSET", P .. "dirDataLength", f, "0")
        call("HSET", P .. "dirUsedSpace", f, "0")
        acct.volume(4096, 1)
        return dir
    end

    -- Moves the inode from dir into the trash.  Links are not counted down.
    function trash.put(env, op, plan, dir, ino, a)
        local hour = plan.dir or make_hour(op, plan.hour)
        a.ctime = op.now
        if a.parent ~= num.ZERO then
            a.parent = hour
        else
            local p = num.key("p", ino)
            call("HINCRBY", p, num.dec(hour), 1)
            call("HINCRBY", p, num.dec(dir), -1)
        end
        attr.save(ino, a)
        call("HSET", num.key("d", hour), plan.name, attr.entry(a.type, ino))
        acct.entry(env, hour, a, 1)
    end

    -- A non-directory lost a name in dir for good.  Returns rflags, extra.
    function trash.drop(env, op, dir, ino, a)
        a.ctime = op.now
        if a.nlink > 1 then
            a.nlink = a.nlink - 1
            attr.save(ino, a)
            if a.parent == num.ZERO then
                call("HINCRBY", num.key("p", ino), num.dec(dir), -1)
            end
            return 0, ""
        end
        local shared = a.parent == num.ZERO
        local flags, extra = R.GONE, ""
        local f = num.dec(ino)
        local held = a.type == T.FILE and opcodec.held(op, ino)
        a.nlink = 0
        if held and op.sid ~= num.ZERO then
            attr.save(ino, a)
            call("SADD", P .. "session" .. num.dec(op.sid), f)
            flags = 0
        else
            a.raw = attr.encode(a)
            call("DEL", P .. "i" .. f)
            acct.volume(-acct.usage(attr.data_length(a)), -1)
            if a.type == T.SYMLINK then
                call("DEL", P .. "s" .. f)
            elseif a.type == T.FILE then
                if held or a.length > INLINE_CHUNKS * CHUNK then
                    call("ZADD", P .. "delfiles", op.now_sec, f .. ":" .. format("%.0f", a.length))
                    flags = R.GONE + R.DEFERRED
                else
                    extra = purge.data(ino, a.length)
                end
            end
        end
        call("DEL", P .. "x" .. f)
        if shared then
            call("DEL", P .. "p" .. f)
        end
        return flags, extra
    end

    -- The same for a directory, which is empty.
    function trash.drop_dir(ino)
        call("DEL", num.key("i", ino))
        call("DEL", num.key("x", ino))
        acct.volume(-4096, -1)
    end
end
