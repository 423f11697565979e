// Synchronous memory, one write and one read port: every buffer of the machine.
//
// Read data come one cycle after `rd_en` and are held until the next read. Reading the word that is
// written in the same cycle returns the old word.

`default_nettype none

module fitact_sram #(
    parameter WIDTH  = 128,
    parameter DEPTH  = 16,
    parameter ADDR_W = 4
) (
    input  wire              clk,
    input  wire              wr_en,
    input  wire [ADDR_W-1:0] wr_addr,
    input  wire [WIDTH-1:0]  wr_data,
    input  wire              rd_en,
    input  wire [ADDR_W-1:0] rd_addr,
    output wire [WIDTH-1:0]  rd_data
);

    reg [WIDTH-1:0] data_mem [0:DEPTH-1];
    reg [WIDTH-1:0] rd_data_q;

    assign rd_data = rd_data_q;

    always @(posedge clk) begin
        if (wr_en) data_mem[wr_addr] <= wr_data;
    end

    always @(posedge clk) begin
        if (rd_en) rd_data_q <= data_mem[rd_addr];
    end

endmodule

`default_nettype wire
