// Majority of three copies, bit by bit; `differs` tells that at least one copy disagrees.

`default_nettype none

module fitact_voter #(
    parameter WIDTH = 8
) (
    input  wire [WIDTH-1:0] first,
    input  wire [WIDTH-1:0] second,
    input  wire [WIDTH-1:0] third,
    output wire [WIDTH-1:0] voted,
    output wire             differs
);

    assign voted   = (first & second) | (first & third) | (second & third);
    assign differs = |((first ^ second) | (first ^ third));

endmodule

`default_nettype wire
