-- Takes captures of `corewarden capture` apart in Wireshark (docs/rpmsg-host.md, "Capture").
--
-- wireshark -X lua_script:docs/corewarden-rpmsg.lua motor.pcapng

local cwrpmsg = Proto("cwrpmsg", "Corewarden RPMsg")

local kinds = { [0] = "message", [1] = "kick", [2] = "link up", [3] = "link down" }
local directions = { [0] = "sent", [1] = "received" }

local f = cwrpmsg.fields
f.version = ProtoField.uint8("cwrpmsg.version", "Version")
f.kind = ProtoField.uint8("cwrpmsg.kind", "Kind", base.DEC, kinds)
f.direction = ProtoField.uint8("cwrpmsg.direction", "Direction", base.DEC, directions)
f.generation = ProtoField.uint32("cwrpmsg.generation", "Generation", base.HEX)
f.source = ProtoField.uint32("cwrpmsg.src", "Source", base.DEC)
f.destination = ProtoField.uint32("cwrpmsg.dst", "Destination", base.DEC)
f.reserved = ProtoField.uint32("cwrpmsg.reserved", "Reserved", base.HEX)
f.length = ProtoField.uint16("cwrpmsg.len", "Length", base.DEC)
f.flags = ProtoField.uint16("cwrpmsg.flags", "Flags", base.HEX)
f.payload = ProtoField.bytes("cwrpmsg.payload", "Payload")
f.service = ProtoField.stringz("cwrpmsg.service", "Service")
f.address = ProtoField.uint32("cwrpmsg.address", "Service address", base.DEC)
f.change = ProtoField.uint32("cwrpmsg.change", "Change", base.DEC, { [0] = "created", [1] = "destroyed" })

local NAME_SERVICE = 53
local HEAD, HEADER, ANNOUNCEMENT = 8, 16, 40

function cwrpmsg.dissector(buffer, pinfo, root)
    if buffer:len() < HEAD or buffer(0, 1):uint() ~= 1 then
        return 0
    end
    pinfo.cols.protocol = "RPMsg"
    local tree = root:add(cwrpmsg, buffer())
    tree:add(f.version, buffer(0, 1))
    tree:add(f.kind, buffer(1, 1))
    tree:add(f.direction, buffer(2, 1))
    tree:add_le(f.generation, buffer(4, 4))
    local kind, way = buffer(1, 1):uint(), directions[buffer(2, 1):uint()] or "?"
    if kind ~= 0 or buffer:len() < HEAD + HEADER then
        pinfo.cols.info = kinds[kind] or "unknown"
        return buffer:len()
    end
    local header = buffer(HEAD, HEADER)
    tree:add_le(f.source, header(0, 4))
    tree:add_le(f.destination, header(4, 4))
    tree:add_le(f.reserved, header(8, 4))
    tree:add_le(f.length, header(12, 2))
    tree:add_le(f.flags, header(14, 2))
    local source, destination = header(0, 4):le_uint(), header(4, 4):le_uint()
    pinfo.cols.src = tostring(source)
    pinfo.cols.dst = tostring(destination)
    local length = math.min(header(12, 2):le_uint(), buffer:len() - HEAD - HEADER)
    local info = string.format("%s %d -> %d, %d bytes", way, source, destination, length)
    if length > 0 then
        local payload = buffer(HEAD + HEADER, length)
        if destination == NAME_SERVICE and length == ANNOUNCEMENT then
            tree:add(f.service, payload(0, 32))
            tree:add_le(f.address, payload(32, 4))
            tree:add_le(f.change, payload(36, 4))
            local verb = payload(36, 4):le_uint() == 0 and "announces" or "withdraws"
            info = string.format("%s %s at %d", verb, payload(0, 32):stringz(), payload(32, 4):le_uint())
        else
            tree:add(f.payload, payload)
        end
    end
    pinfo.cols.info = info
    return buffer:len()
end

DissectorTable.get("wtap_encap"):add(wtap.USER0, cwrpmsg)
