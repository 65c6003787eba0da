--- Unpacks gzip, to read the usage in answers that a backend compressed unasked.
--
-- The client gets the backend's bytes; only this copy is unpacked. zlib is part of every nginx with
-- gzip; where it cannot be found, such answers count as answers without usage.

local ffi = require("ffi")

local C = ffi.C
local ffi_string = ffi.string
local concat = table.concat
local pcall = pcall

-- Names of our own for zlib's functions: libraries of the engine declare the same functions with
-- their own type of stream, and the first declaration counts.
ffi.cdef [[
    typedef struct {
        const unsigned char *next_in;
        unsigned int avail_in;
        unsigned long total_in;
        unsigned char *next_out;
        unsigned int avail_out;
        unsigned long total_out;
        const char *msg;
        void *state;
        void *zalloc;
        void *zfree;
        void *opaque;
        int data_type;
        unsigned long adler;
        unsigned long reserved;
    } gateway_z_stream;

    int gateway_inflate_init(gateway_z_stream *strm, int window_bits, const char *version,
                             int size) __asm__("inflateInit2_");
    int gateway_inflate(gateway_z_stream *strm, int flush) __asm__("inflate");
    int gateway_inflate_end(gateway_z_stream *strm) __asm__("inflateEnd");
]]

local Z_OK, Z_STREAM_END, Z_NO_FLUSH = 0, 1, 0
-- 32 lets zlib tell gzip from zlib by the header
local WINDOW_BITS = 15 + 32
local PIECE = 65536

local _M = {}

local library
local piece = ffi.new("unsigned char[?]", PIECE)


local function find_library()
    if library == nil then
        local linked = pcall(function()
            return C.gateway_inflate_init
        end)
        local found, loaded = linked, C
        if not linked then
            -- by its full name: the short one is there with the headers only
            found, loaded = pcall(ffi.load, "libz.so.1")
        end
        library = found and loaded or false
    end
    return library
end


local function unpack(zlib, strm, limit)
    local pieces, size = {}, 0
    while true do
        strm.next_out, strm.avail_out = piece, PIECE
        local code = zlib.gateway_inflate(strm, Z_NO_FLUSH)
        if code ~= Z_OK and code ~= Z_STREAM_END then
            return nil, "could not inflate"
        end
        local n = PIECE - strm.avail_out
        size = size + n
        if size > limit then
            return nil, "larger than the limit"
        end
        pieces[#pieces + 1] = ffi_string(piece, n)
        if code == Z_STREAM_END then
            return concat(pieces)
        end
        if strm.avail_in == 0 and n == 0 then
            return nil, "cut short"
        end
    end
end


--- Unpacks a whole body.
-- @tparam string data gzip or zlib
-- @tparam number limit of the result in bytes
-- @treturn string|nil
-- @treturn string|nil error
function _M.gunzip(data, limit)
    local zlib = find_library()
    if not zlib then
        return nil, "no zlib"
    end
    local strm = ffi.new("gateway_z_stream")
    strm.next_in, strm.avail_in = data, #data
    if zlib.gateway_inflate_init(strm, WINDOW_BITS, "1.2.11", ffi.sizeof(strm)) ~= Z_OK then
        return nil, "could not start to inflate"
    end
    local text, err = unpack(zlib, strm, limit)
    zlib.gateway_inflate_end(strm)
    return text, err
end

return _M
