-- Keeps renewals away from Dogtag (mod_lua, LuaInputFilter): there the profile of the old certificate decides, and where
-- that has no constraint nobody asks the validator, so that whoever has a ticket would renew the CA's own certificates.
--
-- A body passes where it is JSON's kind of text in plain ASCII, without characters by number, so that there is one way to
-- write a word, and where each "renewal" in it is said to be false. From the piece on that does not, there are blanks in
-- its place, which nobody takes for a request.

local REACH = 64 -- of what came before: a word may stand on the edge of two pieces

function only_enrolment(r)
    local before, refused = "", false
    coroutine.yield()
    while bucket ~= nil do
        local piece = bucket
        refused = refused or not is_enrolment(before .. piece)
        before = piece:sub(-REACH)
        coroutine.yield(refused and string.rep(" ", #piece) or piece)
    end
end

function is_enrolment(body)
    -- No other encoding, no escapes, no XML with entities of its own.
    if body:find("[^\t\r\n -~]") or body:find("\\u", 1, true) or body:find("<", 1, true) then
        return false
    end
    local _, named = body:lower():gsub("renewal", "")
    local _, denied = body:gsub('"Renewal"%s*:%s*false%s*[,}]', "")
    return named == denied
end
