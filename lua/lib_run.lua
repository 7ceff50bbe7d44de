-- opcodec.run - one op of a call, as its answer of six.
--
-- Ops are independent: what one raises (a wrong type in the database, a server out of memory) is its own answer and
-- the next one runs.  extra then has the text.
do
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

    -- Answers for n ops that one error stopped.
    function opcodec.raised(err, n)
        local answers = {}
        for i = 1, n do
            answers[i] = answer(false, err)
        end
        return answers
    end

    -- What runs ops of a kind, or nil.
    function opcodec.runner(kind)
        local run = ops[kind]
        if not run then
            load_op(kind)
            run = ops[kind]
        end
        return run
    end

    -- op: decoded, or nil.
    function opcodec.run_op(env, op)
        local run = op and opcodec.runner(op.kind)
        if run then
            return answer(pcall(run, env, op))
        end
        return { -E.INVAL, "", "", "", 0, "" }
    end

    -- s: the op's bytes.
    function opcodec.run(env, s)
        return opcodec.run_op(env, opcodec.decode(s))
    end
end
