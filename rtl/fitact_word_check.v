// Turns what a decoder says of its lanes into one event for each wrong word that was really read.
//
// The decoder always looks at the memory's output register; it counts only in the cycle after `rd_en`. With HELD the
// reader may use the word for longer (the store unit waits for the bus): an error that appears later counts too.
// A word with a lane that could not be corrected is a detected one only. Events come one cycle late, so that this
// adds nothing to the paths of the data. CORRECTS: the code can correct.

`default_nettype none

module fitact_word_check #(
    parameter LANES    = 4,
    parameter HELD     = 0,
    parameter CORRECTS = 1
) (
    input  wire             clk,
    input  wire             rst_n,
    input  wire             clear,
    input  wire             rd_en,
    input  wire [LANES-1:0] corrected,
    input  wire [LANES-1:0] detected,
    output wire             corrected_word,  // pulse
    output wire             detected_word    // pulse
);

    wire lost  = |detected;
    wire fixed = |corrected && !lost;
    wire newly_lost;   // HELD: the word has been there for longer, and was not lost until now
    wire newly_fixed;  // HELD: ... and was right until now

    reg fresh_q;       // the output register holds a new word
    reg detected_q;

    always @(posedge clk) begin
        if (!rst_n || clear) begin
            fresh_q    <= 1'b0;
            detected_q <= 1'b0;
        end else begin
            fresh_q    <= rd_en;
            detected_q <= lost && (fresh_q || newly_lost);
        end
    end

    generate
        if (HELD != 0) begin : g_held
            reg held_q;
            reg lost_q;

            always @(posedge clk) begin
                if (!rst_n || clear) begin
                    held_q <= 1'b0;
                    lost_q <= 1'b0;
                end else begin
                    held_q <= held_q || rd_en;
                    lost_q <= lost;
                end
            end

            assign newly_lost = held_q && !lost_q;
        end else begin : g_not_held
            assign newly_lost = 1'b0;
        end
    endgenerate

    generate
        if (HELD != 0 && CORRECTS != 0) begin : g_held_fixed
            reg fixed_q;

            always @(posedge clk) begin
                if (!rst_n || clear) fixed_q <= 1'b0;
                else                 fixed_q <= fixed;
            end

            assign newly_fixed = newly_lost && !fixed_q;
        end else begin : g_not_held_fixed
            assign newly_fixed = 1'b0;
        end
    endgenerate

    generate
        if (CORRECTS != 0) begin : g_corrects
            reg corrected_q;

            always @(posedge clk) begin
                if (!rst_n || clear) corrected_q <= 1'b0;
                else                 corrected_q <= fixed && (fresh_q || newly_fixed);
            end

            assign corrected_word = corrected_q;
        end else begin : g_detects
            assign corrected_word = 1'b0;

            wire unused = &{1'b0, fixed, newly_fixed};
        end
    endgenerate

    assign detected_word = detected_q;

endmodule

`default_nettype wire
