// Stands for the generated fitact_array where the native engine computes what the array does (sim/engine/array.h).
`default_nettype none

module fitact_array #(
    parameter int ROWS   = 16,
    parameter int COLS   = 16,
    parameter int DATA_W = 8,
    parameter int ACC_W  = 32
) (
    input  wire                   clk,
    input  wire [ROWS*DATA_W-1:0] act_in,
    input  wire [COLS*DATA_W-1:0] weight_in,
    input  wire                   swap_in,
    input  wire [ROWS-1:0]        load_in,
    output wire [COLS*ACC_W-1:0]  psum_out
);
    import "DPI-C" function void fitact_array_cycle(
        input bit [ROWS*DATA_W-1:0] act, input bit [COLS*DATA_W-1:0] weight, input bit swap,
        input bit [ROWS-1:0] load, output bit [COLS*ACC_W-1:0] psum
    );

    bit [COLS*ACC_W-1:0] psum_q;

    assign psum_out = psum_q;

    always @(posedge clk) begin
        automatic bit [COLS*ACC_W-1:0] psum;
        fitact_array_cycle(act_in, weight_in, swap_in, load_in, psum);
        psum_q <= psum;
    end
endmodule

`default_nettype wire
