// Queue with valid/ready on both sides. The oldest entry stands at the output without delay after it was
// written (first word falls through after one cycle); DEPTH may be any number of entries >= 2.
`default_nettype none

module fitact_fifo #(
    parameter WIDTH = 8,
    parameter DEPTH = 4
) (
    input  wire             clk,
    input  wire             rst_n,
    input  wire             clear,
    input  wire             in_valid,
    output wire             in_ready,
    input  wire [WIDTH-1:0] in_data,
    output wire             out_valid,
    input  wire             out_ready,
    output wire [WIDTH-1:0] out_data
);
    localparam PTR_W = $clog2(DEPTH);
    localparam COUNT_W = $clog2(DEPTH + 1);
    localparam [31:0] LAST_WIDE = DEPTH - 1;
    localparam [31:0] FULL_WIDE = DEPTH;
    localparam [PTR_W-1:0] LAST = LAST_WIDE[PTR_W-1:0];
    localparam [COUNT_W-1:0] FULL = FULL_WIDE[COUNT_W-1:0];

    reg [WIDTH-1:0] data_mem [0:DEPTH-1];
    reg [PTR_W-1:0] write_q;
    reg [PTR_W-1:0] read_q;
    reg [COUNT_W-1:0] count_q;

    assign in_ready = count_q != FULL;
    assign out_valid = count_q != {COUNT_W{1'b0}};
    assign out_data = data_mem[read_q];

    wire push = in_valid & in_ready;
    wire pop = out_valid & out_ready;

    always @(posedge clk) begin
        if (push) data_mem[write_q] <= in_data;
    end

    always @(posedge clk) begin
        if (!rst_n || clear) begin
            write_q <= {PTR_W{1'b0}};
            read_q <= {PTR_W{1'b0}};
            count_q <= {COUNT_W{1'b0}};
        end else begin
            if (push) write_q <= (write_q == LAST) ? {PTR_W{1'b0}} : write_q + 1'b1;
            if (pop) read_q <= (read_q == LAST) ? {PTR_W{1'b0}} : read_q + 1'b1;
            if (push && !pop) count_q <= count_q + 1'b1;
            if (!push && pop) count_q <= count_q - 1'b1;
        end
    end
endmodule

`default_nettype wire
