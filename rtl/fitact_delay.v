// Delays a valid bit and its data by DELAY >= 2 cycles: the pixel tokens on their way past the array.
//
// Valid bits move in a shift register; the data wait in a ring memory, because moving wide tokens
// through dozens of registers would cost far more than one write and one read a cycle.
// `busy` is high while a valid token is inside.

`default_nettype none

module fitact_delay #(
    parameter WIDTH = 64,
    parameter DELAY = 2
) (
    input  wire             clk,
    input  wire             rst_n,
    input  wire             clear,
    input  wire             in_valid,
    input  wire [WIDTH-1:0] in_data,
    output wire             out_valid,
    output wire [WIDTH-1:0] out_data,
    output wire             busy
);

    // A word waits DELAY - 1 cycles in its slot and one in the output register.
    localparam SLOTS     = DELAY - 1;
    localparam POINTER_W = (SLOTS > 2) ? $clog2(SLOTS) : 1;
    localparam LAST      = SLOTS - 1;

    reg [DELAY-1:0]     valid_q;
    reg [POINTER_W-1:0] slot_q;
    reg [WIDTH-1:0]     word_mem [0:SLOTS-1];
    reg [WIDTH-1:0]     word_q;

    always @(posedge clk) begin
        if (!rst_n || clear) valid_q <= {DELAY{1'b0}};
        else                 valid_q <= {valid_q[DELAY-2:0], in_valid};
    end

    always @(posedge clk) begin
        if (!rst_n || clear || slot_q == LAST[POINTER_W-1:0]) slot_q <= {POINTER_W{1'b0}};
        else                                                  slot_q <= slot_q + 1'b1;
    end

    always @(posedge clk) begin
        word_q           <= word_mem[slot_q];
        word_mem[slot_q] <= in_data;
    end

    assign out_valid = valid_q[DELAY-1];
    assign out_data  = word_q;
    assign busy      = |valid_q;

endmodule

`default_nettype wire
