// Gate between an instruction queue and its unit: an instruction passes only when the tokens it waits for
// are there and the machine is not halted. Combinational; the tokens are taken in the cycle of the handshake.
`default_nettype none

module fitact_issue (
    input  wire halt,
    input  wire queue_valid,
    output wire queue_ready,
    input  wire pop_prev,
    input  wire pop_next,
    input  wire prev_available,
    input  wire next_available,
    output wire take_prev,
    output wire take_next,
    output wire unit_valid,
    input  wire unit_ready
);
    wire open = (~pop_prev | prev_available) & (~pop_next | next_available) & ~halt;
    wire pass = queue_valid & open & unit_ready;

    assign unit_valid = queue_valid & open;
    assign queue_ready = unit_ready & open;
    assign take_prev = pass & pop_prev;
    assign take_next = pass & pop_next;
endmodule

`default_nettype wire
