// A bare PE array for the speed comparison: random activations every cycle, a new random weight tile every TILE cycles.
// No memory, no control, no Python per cycle. `checksum` keeps the results alive.
`default_nettype none
`timescale 1ns / 1ns

module bare_tb #(
    parameter int SIDE   = 16,
    parameter int DATA_W = 8,
    parameter int ACC_W  = 32,
    parameter int TILE   = 64
);
    localparam int WORDS = (SIDE * DATA_W + 63) / 64;

    bit clk = 1'b0;
    always #5 clk = ~clk;

    // One xorshift generator; every 64 bits of a word are its output times another odd number.
    bit [63:0] random_q = 64'h9E3779B97F4A7C15;
    wire [63:0] random_1 = random_q ^ (random_q << 13);
    wire [63:0] random_2 = random_1 ^ (random_1 >> 7);
    bit [WORDS*64-1:0] activation_q, weight_q;
    bit [15:0]         phase_q;
    bit [SIDE-1:0]     load_q;
    bit                swap_q;

    wire [SIDE*ACC_W-1:0] psum;
    bit  [SIDE*ACC_W-1:0] checksum /*verilator public_flat_rd*/;

    fitact_array u_array (
        .clk       (clk),
        .act_in    (activation_q[SIDE*DATA_W-1:0]),
        .weight_in (weight_q[SIDE*DATA_W-1:0]),
        .swap_in   (swap_q),
        .load_in   (load_q),
        .psum_out  (psum)
    );

    always @(posedge clk) begin
        random_q <= random_2 ^ (random_2 << 17);
        for (int i = 0; i < WORDS; ++i) activation_q[64*i +: 64] <= random_q * (64'd2 * 64'(i) + 64'd1);
        for (int i = 0; i < WORDS; ++i) weight_q[64*i +: 64] <= random_q * (64'd2 * 64'(i) + 64'd101);
        phase_q  <= phase_q == 16'(TILE - 1) ? 16'd0 : phase_q + 16'd1;
        load_q   <= phase_q < 16'(SIDE) ? SIDE'(1) << phase_q : '0;
        swap_q   <= phase_q == 16'(TILE - 1);
        checksum <= checksum ^ psum;
    end
endmodule

`default_nettype wire
