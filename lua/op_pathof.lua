-- OP_PATHOF: path of a directory inode below the root, "" or "/a/b", by climbing; each name is searched in the
-- directory above, for there is no other record of it.  Removed directories, also those in the trash: ENOENT.
do
    local DEPTH_MAX, PAGE = 2048, 1000

    local function name_in(dir, ino)
        local key, entry, cursor = num.key("d", dir), attr.entry(T.DIR, ino), "0"
        repeat
            local page = call("HSCAN", key, cursor, "COUNT", PAGE)
            local list = page[2]
            for i = 2, #list, 2 do
                if list[i] == entry then
                    return list[i - 1]
                end
            end
            cursor = page[1]
        until cursor == "0"
        return nil
    end

    ops[8] = function(env, op)
        local ino, path, raw, parent = op.base, "", nil, nil
        for _ = 1, DEPTH_MAX do
            local a = attr.load(ino)
            if not a then
                return fail(E.NOENT)
            elseif a.type ~= T.DIR then
                return fail(E.NOTDIR)
            end
            raw, parent = raw or a.raw, parent or a.parent
            if ino == num.ROOT then
                return 0, op.base, raw, parent, 0, path
            elseif num.in_trash(a.parent) then
                return fail(E.NOENT)
            end
            local name = ino == num.TRASH and ".trash" or name_in(a.parent, ino)
            if not name then
                return fail(E.NOENT)
            end
            path = "/" .. name .. path
            if #path > 4095 then
                return fail(E.NAMETOOLONG)
            end
            ino = a.parent
        end
        return fail(E.LOOP)
    end
end
