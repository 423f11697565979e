// Decoder of a 4-bit bound: one exponent and one mantissa digit, times 2^base of the layer.
//
// The code is that of golden/bounds/code.py: code 0 is 0, another one (2 + code[0]) * 2^(code[3:1] + base), rounded up to a
// whole number and limited to the largest word. Combinational, between the bound buffer and the lane's bound register.

`default_nettype none

module fitact_bound_code #(
    parameter DATA_W = 8,
    parameter BASE_W = 6
) (
    input  wire [3:0]        code,
    input  wire [BASE_W-1:0] base,   // signed
    output wire [DATA_W-1:0] bound
);

    localparam [BASE_W:0] FULL = DATA_W - 2;  // from this power on the value does not fit a word

    wire              digit    = code[0];
    wire [BASE_W:0]   power    = {base[BASE_W-1], base} + {{(BASE_W - 2){1'b0}}, code[3:1]};
    wire              fraction = power[BASE_W];          // negative power: 1 is left, or 2 from 3 / 2
    wire              halved   = &power && digit;        // power -1
    wire              full     = !fraction && power >= FULL;
    wire [DATA_W-1:0] leading  = {{(DATA_W - 2){1'b0}}, 2'b10} << power[BASE_W-1:0];
    wire [DATA_W-1:0] whole    = leading | (digit ? leading >> 1 : {DATA_W{1'b0}});
    wire [DATA_W-1:0] little   = {{(DATA_W - 2){1'b0}}, halved, !halved};
    wire [DATA_W-1:0] top      = {1'b0, {(DATA_W - 1){1'b1}}};

    assign bound = (code == 4'd0) ? {DATA_W{1'b0}} : fraction ? little : full ? top : whole;

endmodule

`default_nettype wire
