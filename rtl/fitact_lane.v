// Lane below one array column: accumulate, add bias, shift and round, clamp with the bound register.
//
// Fully pipelined, one pixel a cycle, nothing stalls. Cycles as in docs/reference/machine.md:
//   A0  sum     = psum << lshift, added to / maximum with / instead of the accumulator word
//   A1  biased  = sum + bias (wraps)
//   A2  rounded = floor((biased + 2^(shift-1)) / 2^shift), kept wide; the bound register loads
//   A3  out     = activation on the wide value, in fitact_clamp
// All numbers are two's complement.

`default_nettype none

module fitact_lane #(
    parameter DATA_W    = 8,
    parameter ACC_W     = 32,
    parameter SHIFT_W   = 6,
    parameter HAS_BOUND = 1,
    parameter HAS_ALARM = 0,
    parameter MARGIN    = 0
) (
    input  wire               clk,
    input  wire [1:0]         acc_op,
    input  wire [SHIFT_W-1:0] lshift,
    input  wire [ACC_W-1:0]   psum,
    input  wire [ACC_W-1:0]   acc_data,
    output reg  [ACC_W-1:0]   sum_q,
    input  wire [ACC_W-1:0]   bias,
    input  wire [SHIFT_W-1:0] shift,
    input  wire [DATA_W-1:0]  bound,
    input  wire [1:0]         act_mode,
    output wire [DATA_W-1:0]  out_q,
    output wire               hit       // the bound acted on out_q, see fitact_clamp; 0 without HAS_ALARM
);

    `include "fitact_codes.vh"

    // A0: accumulate.
    wire signed [ACC_W-1:0] partial = psum << lshift;
    wire signed [ACC_W-1:0] stored  = acc_data;
    wire                    keep    = acc_op == OP_MAX && stored > partial;

    always @(posedge clk) begin
        if (acc_op == OP_ADD) sum_q <= stored + partial;
        else                  sum_q <= keep ? stored : partial;
    end

    // A1: bias. The shift belongs to the bias word and goes along.
    reg signed [ACC_W-1:0]   biased_q;
    reg        [SHIFT_W-1:0] shift_q;

    always @(posedge clk) begin
        biased_q <= sum_q + bias;
        shift_q  <= shift;
    end

    // A2: twice the quotient, rounded down; its lowest bit is what rounding half up adds.
    reg  signed [ACC_W-1:0] rounded_q;
    wire signed [ACC_W:0]   twice   = {biased_q, 1'b0};
    wire signed [ACC_W:0]   doubled = twice >>> shift_q;

    always @(posedge clk) rounded_q <= doubled[ACC_W:1] + {{(ACC_W - 1){1'b0}}, doubled[0]};

    // A3: activation on the wide value.
    fitact_clamp #(
        .DATA_W(DATA_W),
        .ACC_W(ACC_W),
        .HAS_BOUND(HAS_BOUND),
        .HAS_ALARM(HAS_ALARM),
        .MARGIN(MARGIN)
    ) u_clamp (
        .clk(clk),
        .value(rounded_q),
        .bound(bound),
        .act_mode(act_mode),
        .out_q(out_q),
        .hit(hit)
    );

endmodule

`default_nettype wire
