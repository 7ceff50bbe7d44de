-- The ground of the script: names that all files share.
--
-- All files become one chunk in the order of their names, so this one is the first.  Shared functions live in
-- the tables below (a chunk may have 200 locals, and a table's field may be used before the file that sets it).
-- An inode number is always its 8 bytes, big-endian, named `ino`, `dir`, `parent`; num.dec() makes it decimal.

local ops = {} -- kind -> function(env, op), set by op_*.lua
local groups = {} -- kind -> function(env, s), set by op_*.lua: many ops of a kind as one argument
local load_op, load_lib -- run the file of a kind, of a library: made by tools/gen_lua.sh
local opcodec = {}
-- Libraries: lib_NAME.lua runs when a field of NAME is first asked for.
local num, attr, perm, acl, acct, walk, trash = {}, {}, {}, {}, {}, {}, {}
local data, node, purge, tree, truncate = {}, {}, {}, {}, {}
local unread = {}
unread.__index = function(lib, name)
    setmetatable(lib, nil)
    load_lib(lib)
    return lib[name]
end

local call = redis.call
local byte, sub, find, char, format = string.byte, string.sub, string.find, string.char, string.format
local concat, floor = table.concat, math.floor
local pack, unpack_at = struct.pack, struct.unpack
local band, bor, bnot = bit.band, bit.bor, bit.bnot

-- KEYS[1] is the prefix and "setting".
local P = sub(KEYS[1], 1, -8)

-- What an op answers instead of its six values; ops say `return fail(E.NOENT)`.
local function fail(errno)
    return -errno, "", "", "", 0, ""
end
