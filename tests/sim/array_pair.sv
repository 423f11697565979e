// The generated array beside the one that C++ computes.
module array_pair #(
    parameter int SIDE   = 4,
    parameter int DATA_W = 8,
    parameter int ACC_W  = 32
) (
    input  wire                   clk,
    input  wire [SIDE*DATA_W-1:0] act,
    input  wire [SIDE*DATA_W-1:0] weight,
    input  wire                   swap,
    input  wire [SIDE-1:0]        load,
    output wire [SIDE*ACC_W-1:0]  rtl,
    output wire [SIDE*ACC_W-1:0]  computed
);
    fitact_array #(.ROWS(SIDE), .COLS(SIDE), .DATA_W(DATA_W), .ACC_W(ACC_W)) u_rtl (
        .clk(clk), .act_in(act), .weight_in(weight), .swap_in(swap), .load_in(load), .psum_out(rtl)
    );
    behavioural_array #(.ROWS(SIDE), .COLS(SIDE), .DATA_W(DATA_W), .ACC_W(ACC_W)) u_computed (
        .clk(clk), .act_in(act), .weight_in(weight), .swap_in(swap), .load_in(load), .psum_out(computed)
    );
endmodule
