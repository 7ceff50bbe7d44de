-- The end of the script: runs each op and collects the answers.  It is the last file.

local env = opcodec.env(ARGV[1])
if ARGV[2] and byte(ARGV[2], 1) == 2 then
    return opcodec.runner(0)(env, ARGV)
end
local answers = {}
for i = 2, #ARGV do
    answers[i - 1] = opcodec.run(env, ARGV[i])
end
return answers
