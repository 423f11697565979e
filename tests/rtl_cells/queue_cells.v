// Test top: an instruction queue of each of three depths and a gate with its two token counters.
`default_nettype none

module queue_cells (
    input  wire       clk,
    input  wire       rst_n,
    input  wire       clear,

    input  wire [2:0] in_valid,
    output wire [2:0] in_ready,
    input  wire [7:0] in_data,
    output wire [2:0] out_valid,
    input  wire [2:0] out_ready,
    output wire [7:0] out_data_0,
    output wire [7:0] out_data_1,
    output wire [7:0] out_data_2,

    input  wire       halt,
    input  wire       queue_valid,
    output wire       queue_ready,
    input  wire       pop_prev,
    input  wire       pop_next,
    output wire       unit_valid,
    input  wire       unit_ready,
    input  wire       push_prev,
    input  wire       push_next,
    output wire       prev_available,
    output wire       next_available,
    output wire       take_prev,
    output wire       take_next,
    output wire       prev_overflow,
    output wire       next_overflow
);
    fitact_fifo #(.WIDTH(8), .DEPTH(2)) u_two (
        .clk(clk), .rst_n(rst_n), .clear(clear), .in_valid(in_valid[0]), .in_ready(in_ready[0]), .in_data(in_data),
        .out_valid(out_valid[0]), .out_ready(out_ready[0]), .out_data(out_data_0)
    );
    fitact_fifo #(.WIDTH(8), .DEPTH(3)) u_three (
        .clk(clk), .rst_n(rst_n), .clear(clear), .in_valid(in_valid[1]), .in_ready(in_ready[1]), .in_data(in_data),
        .out_valid(out_valid[1]), .out_ready(out_ready[1]), .out_data(out_data_1)
    );
    fitact_fifo #(.WIDTH(8), .DEPTH(16)) u_sixteen (
        .clk(clk), .rst_n(rst_n), .clear(clear), .in_valid(in_valid[2]), .in_ready(in_ready[2]), .in_data(in_data),
        .out_valid(out_valid[2]), .out_ready(out_ready[2]), .out_data(out_data_2)
    );
    fitact_issue u_issue (
        .halt(halt), .queue_valid(queue_valid), .queue_ready(queue_ready), .pop_prev(pop_prev), .pop_next(pop_next),
        .prev_available(prev_available), .next_available(next_available), .take_prev(take_prev),
        .take_next(take_next), .unit_valid(unit_valid), .unit_ready(unit_ready)
    );
    fitact_token #(.COUNT_W(2)) u_prev (
        .clk(clk), .rst_n(rst_n), .clear(clear), .push(push_prev), .pop(take_prev), .available(prev_available),
        .overflow(prev_overflow)
    );
    fitact_token #(.COUNT_W(3)) u_next (
        .clk(clk), .rst_n(rst_n), .clear(clear), .push(push_next), .pop(take_next), .available(next_available),
        .overflow(next_overflow)
    );
endmodule

`default_nettype wire
