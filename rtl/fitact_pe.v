// Processing element of the weight-stationary array: psum_q = psum_in + act_in * weight.
//
// The weight is double buffered. `load_in` takes the column's weight word into the shadow register,
// `swap_in` makes the shadow weight the active one at the end of a cycle that still multiplies with
// the old weight. Activation, swap and load travel east, partial sums south, one register a step.
// Nothing is reset: the sequencer drives swap and load low long before the first tile.

`default_nettype none

module fitact_pe #(
    parameter DATA_W = 8,
    parameter ACC_W  = 32
) (
    input  wire              clk,
    input  wire [DATA_W-1:0] act_in,
    input  wire              swap_in,
    input  wire              load_in,
    input  wire [DATA_W-1:0] weight_in,
    input  wire [ACC_W-1:0]  psum_in,
    output reg  [DATA_W-1:0] act_q,
    output reg               swap_q,
    output reg               load_q,
    output reg  [ACC_W-1:0]  psum_q
);

    reg  signed [DATA_W-1:0] weight_q;
    reg         [DATA_W-1:0] shadow_q;

    wire signed [ACC_W-1:0]  act_wide    = {{(ACC_W - DATA_W){act_in[DATA_W-1]}}, act_in};
    wire signed [ACC_W-1:0]  weight_wide = {{(ACC_W - DATA_W){weight_q[DATA_W-1]}}, weight_q};

    always @(posedge clk) begin
        act_q  <= act_in;
        psum_q <= psum_in + act_wide * weight_wide;
    end

    always @(posedge clk) begin
        swap_q <= swap_in;
        load_q <= load_in;
    end

    // Weights have their own processes: they change rarely, and the simulator then skips them.
    always @(posedge clk) if (load_in) shadow_q <= weight_in;
    always @(posedge clk) if (swap_in) weight_q <= shadow_q;

endmodule

`default_nettype wire
