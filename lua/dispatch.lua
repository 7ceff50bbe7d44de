-- The end of the script: runs each op and collects the answers.  It is the last file.
--
-- Ops are independent: what one raises (a wrong type in the database, a server out of memory) is its own answer and
-- the next one runs.  extra then has the text.

local function errno_of(text)
    if find(sub(text, 1, 8), "OOM", 1, true) then
        return E.NOSPC
    elseif find(sub(text, 1, 12), "READONLY", 1, true) then
        return E.ROFS
    end
    return E.IO
end

local function answer(ok, code, ino, raw, parent, rflags, extra)
    if ok then
        return { code, ino or "", raw or "", parent or "", rflags or 0, extra or "" }
    end
    local text = type(code) == "table" and code.err or code
    return { -errno_of(tostring(text)), "", "", "", 0, tostring(text) }
end

local env = opcodec.env(ARGV[1])
local answers = {}
for i = 2, #ARGV do
    local op = opcodec.decode(ARGV[i])
    local run = op and ops[op.kind]
    if op and not run and load_of[op.kind] then
        load_of[op.kind]()
        run = ops[op.kind]
    end
    if run then
        answers[i - 1] = answer(pcall(run, env, op))
    else
        answers[i - 1] = { -E.INVAL, "", "", "", 0, "" }
    end
end
return answers
