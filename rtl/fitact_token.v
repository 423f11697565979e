// Counter of dependency tokens from one unit to its neighbour. The consumer may pop only while `available`;
// a push into a full counter is lost and reported.
`default_nettype none

module fitact_token #(
    parameter COUNT_W = 8
) (
    input  wire clk,
    input  wire rst_n,
    input  wire clear,
    input  wire push,
    input  wire pop,
    output wire available,
    output wire overflow
);
    reg [COUNT_W-1:0] count_q;

    wire full = &count_q;

    assign available = |count_q;
    assign overflow = push & ~pop & full;

    always @(posedge clk) begin
        if (!rst_n || clear) count_q <= {COUNT_W{1'b0}};
        else if (push && !pop && !full) count_q <= count_q + 1'b1;
        else if (pop && !push && available) count_q <= count_q - 1'b1;
    end
endmodule

`default_nettype wire
