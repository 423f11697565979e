// Activation of a lane: linear, ReLU, clip or saturate, with the bound register of its neuron.
//
// A stage of its own (A3) with registers on both sides, so that the stage of the shifter, not this one, limits the
// lane. `bound` enters its register in A2, while `value` is rounded. HAS_BOUND = 0 leaves out register and comparators;
// `bound` is ignored and act_mode[1] must stay 0.
//
// HAS_ALARM: `hit` says, together with out_q, that the value was above its bound; with MARGIN k, that it was so even
// after a right shift by k bits, that is at least 2^k times as large. It needs HAS_BOUND and changes no data.

`default_nettype none

module fitact_clamp #(
    parameter DATA_W    = 8,
    parameter ACC_W     = 32,
    parameter HAS_BOUND = 1,
    parameter HAS_ALARM = 0,
    parameter MARGIN    = 0
) (
    input  wire                    clk,
    input  wire signed [ACC_W-1:0] value,     // rounded, still wide
    input  wire [DATA_W-1:0]       bound,
    input  wire [1:0]              act_mode,  // 0 linear, 1 ReLU, 2 clip, 3 saturate
    output reg  [DATA_W-1:0]       out_q,
    output wire                    hit        // of out_q; constant 0 without HAS_ALARM
);

    `include "fitact_codes.vh"

    // A negative bound, left by an upset, follows the same formulas.
    localparam HIGH_W = ACC_W - DATA_W + 1;

    wire                negative  = value[ACC_W-1];
    wire [HIGH_W-1:0]   high      = value[ACC_W-1:DATA_W-1];
    wire                fits      = high == {HIGH_W{negative}};
    wire [DATA_W-1:0]   low       = value[DATA_W-1:0];
    wire [DATA_W-1:0]   saturated = fits ? low : {negative, {(DATA_W - 1){!negative}}};
    wire [DATA_W-1:0]   rectified = (negative && act_mode == ACT_RELU) ? {DATA_W{1'b0}} : saturated;

    generate
        if (HAS_BOUND != 0) begin : g_bound
            reg  signed [DATA_W-1:0] bound_q;
            wire signed [ACC_W-1:0]  bound_wide = {{(ACC_W - DATA_W){bound_q[DATA_W-1]}}, bound_q};
            wire                     above      = value > bound_wide;
            wire [DATA_W-1:0]        clipped    = (negative || above) ? {DATA_W{1'b0}} : low;
            // min(max(v, 0), bound): a negative v becomes 0, or the bound if that is negative too.
            wire [DATA_W-1:0]        limited    = negative ? (bound_q[DATA_W-1] ? bound_q : {DATA_W{1'b0}})
                                                           : (above ? bound_q : low);

            always @(posedge clk) bound_q <= bound;

            always @(posedge clk) begin
                if (!act_mode[1])              out_q <= rectified;
                else if (act_mode == ACT_CLIP) out_q <= clipped;
                else                           out_q <= limited;
            end

            if (HAS_ALARM != 0) begin : g_alarm
                wire signed [ACC_W-1:0] reduced = value >>> MARGIN;
                reg                     hit_q;

                always @(posedge clk) hit_q <= act_mode[1] && reduced > bound_wide;

                assign hit = hit_q;
            end else begin : g_no_alarm
                assign hit = 1'b0;
            end
        end else begin : g_no_bound
            always @(posedge clk) out_q <= rectified;

            assign hit = 1'b0;

            wire unused = &{1'b0, bound};
        end
    endgenerate

endmodule

`default_nettype wire
